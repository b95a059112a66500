import type { ConnectionState } from "@tidewire/client";
import { describe, expect, it } from "vitest";
import { headline } from "../../src/headline.ts";
import { panelState } from "../../src/panel/state.ts";

const NOW = new Date(2026, 2, 20, 14, 32, 37).getTime();
const OPEN: ConnectionState = { kind: "open" };
const waiting = (gone: number): ConnectionState => ({ kind: "waiting", retryAt: NOW + 2100, lostAt: NOW - gone });

const line = (state: ConnectionState, rate = 0) => {
  const { tone, word, detail, canRetry } = headline(state, NOW, rate);
  return `${tone}: ${word} ${detail}${canRetry ? " · try now" : ""}`;
};

describe("the headline", () => {
  it("says how the connection stands", () => {
    expect(line(OPEN, 1284)).toBe("ok: Live 1,284 updates/s");
    expect(line(OPEN, 1)).toBe("ok: Live 1 update/s");
    expect(line(waiting(1000))).toBe("warn: Reconnecting in 3 s · try now");
    expect(line({ kind: "connecting", lostAt: NOW - 1000 })).toBe("warn: Reconnecting now");
    expect(line(waiting(30_000))).toBe("bad: Stale since 14:32 · again in 3 s · try now");
    expect(line({ kind: "connecting", lostAt: undefined })).toBe("idle: Connecting ");
    expect(line({ kind: "waiting", retryAt: NOW, lostAt: undefined })).toBe(
      "bad: No connection again in 1 s · try now",
    );
  });
});

describe("a panel", () => {
  const live = { kind: "live" } as const;

  it("is what is wrong, then what is missing, then how old it is", () => {
    const fault = { what: "no column", remedy: "mend it" };
    expect(panelState({ kind: "loading" }, undefined, undefined, OPEN, NOW).kind).toBe("loading");
    expect(panelState(live, 3, undefined, OPEN, NOW).kind).toBe("live");
    expect(panelState(live, 0, undefined, OPEN, NOW).kind).toBe("empty");
    expect(panelState(live, 3, undefined, waiting(1000), NOW).kind).toBe("reconnecting");
    expect(panelState(live, 3, undefined, waiting(30_000), NOW).kind).toBe("stale");
    expect(panelState(live, 3, fault, waiting(0), NOW)).toEqual({ kind: "error", ...fault });
  });

  it("passes on why a feed was refused, and says what to do", () => {
    const state = panelState(
      { kind: "error", code: "unknown_feed", message: "there is no feed `x`" },
      undefined,
      undefined,
      OPEN,
      NOW,
    );
    expect(state).toMatchObject({ kind: "error", what: "there is no feed `x`" });
    expect(state.kind === "error" && state.remedy).toContain("feed:");
  });
});
