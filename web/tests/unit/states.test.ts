import type { ConnectionState } from "@tidewire/client";
import { describe, expect, it } from "vitest";
import { headline, type Summary } from "../../src/headline.ts";
import { Rhythm } from "../../src/panel/rhythm.ts";
import { type Known, panelState } from "../../src/panel/state.ts";

const NOW = new Date(2026, 2, 20, 14, 32, 37).getTime();
const OPEN: ConnectionState = { kind: "open" };
const waiting = (gone: number): ConnectionState => ({ kind: "waiting", retryAt: NOW + 2100, lostAt: NOW - gone });

const CALM: Summary = { rate: 0, latency: undefined, paused: undefined, panels: 12, slow: 0, faulty: 0 };

const line = (state: ConnectionState, summary: Partial<Summary> = {}) => {
  const { tone, word, detail, action } = headline(state, NOW, { ...CALM, ...summary });
  return `${tone}: ${word} ${detail}${action === undefined ? "" : ` · ${action}`}`;
};

describe("the headline", () => {
  it("says how the connection stands", () => {
    expect(line(OPEN, { rate: 1284 })).toBe("ok: Live 1,284 updates/s");
    expect(line(OPEN, { rate: 1 })).toBe("ok: Live 1 update/s");
    expect(line(OPEN, { rate: 1284, latency: 4.2 })).toBe("ok: Live 4 ms · 1,284 updates/s");
    expect(line(OPEN, { rate: 2, latency: 0.3 })).toBe("ok: Live <1 ms · 2 updates/s");
    expect(line(waiting(1000))).toBe("warn: Reconnecting in 3 s · try now");
    expect(line({ kind: "connecting", lostAt: NOW - 1000 })).toBe("warn: Reconnecting now");
    expect(line(waiting(30_000))).toBe("bad: Stale since 14:32 · again in 3 s · try now");
    expect(line({ kind: "connecting", lostAt: undefined })).toBe("idle: Connecting ");
    expect(line({ kind: "waiting", retryAt: NOW, lostAt: undefined })).toBe(
      "bad: No connection again in 1 s · try now",
    );
  });

  it("sums the panels up, and says how far behind a paused picture is", () => {
    expect(line(OPEN, { slow: 2 })).toBe("warn: Slow 2 of 12 panels");
    expect(line(OPEN, { slow: 12 })).toBe("warn: Slow ");
    expect(line(OPEN, { slow: 2, faulty: 1 })).toBe("bad: Error 1 of 12 panels");
    const paused = { at: NOW - 12_000, changes: 3204 };
    expect(line(OPEN, { slow: 2, paused })).toBe("idle: Paused 12 s behind · 3,204 changes · go on");
    expect(line(waiting(1000), { paused })).toBe("warn: Reconnecting in 3 s · try now");
  });
});

describe("a panel", () => {
  const known: Known = { status: { kind: "live" }, rows: 3, lastData: NOW, patience: undefined, fault: undefined };
  const kind = (part: Partial<Known>, connection: ConnectionState = OPEN) =>
    panelState({ ...known, ...part }, connection, NOW).kind;

  it("is what is wrong, then what is missing, then how old it is", () => {
    const fault = { what: "no column", remedy: "mend it" };
    expect(kind({ status: { kind: "loading" }, rows: undefined })).toBe("loading");
    expect(kind({})).toBe("live");
    expect(kind({ rows: 0 })).toBe("empty");
    expect(kind({}, waiting(1000))).toBe("reconnecting");
    expect(kind({}, waiting(30_000))).toBe("stale");
    expect(panelState({ ...known, fault }, waiting(0), NOW)).toEqual({ kind: "error", ...fault });
  });

  it("is slow once it has been silent for longer than it should", () => {
    const silent = { lastData: NOW - 20_000 };
    expect(kind(silent)).toBe("live");
    expect(kind({ ...silent, patience: 20_000 })).toBe("live");
    expect(panelState({ ...known, ...silent, patience: 19_999 }, OPEN, NOW)).toEqual({ kind: "slow", silence: 20_000 });
    expect(kind({ ...silent, patience: 1 }, waiting(1000))).toBe("reconnecting");
  });

  it("passes on why a feed was refused, and says what to do", () => {
    const refused = (code: string) =>
      panelState({ ...known, status: { kind: "error", code, message: "there is no feed `x`" } }, OPEN, NOW);
    expect(refused("unknown_feed")).toMatchObject({ kind: "error", what: "there is no feed `x`" });
    expect(refused("unknown_feed")).toMatchObject({ remedy: expect.stringContaining("feed:") });
    expect(refused("forbidden")).toMatchObject({ what: expect.stringContaining("no right") });
  });
});

describe("the rhythm of a feed", () => {
  const patience = (...gaps: number[]) => {
    const rhythm = new Rhythm();
    let at = 1000;
    rhythm.note(at);
    for (const gap of gaps) {
      at += gap;
      rhythm.note(at);
    }
    return rhythm.patience;
  };

  it("is not known before a few changes: a table that stands still is not slow", () => {
    expect(new Rhythm().patience).toBeUndefined();
    expect(patience(100, 100, 100)).toBeUndefined();
  });

  it("gives ten usual gaps, and at least fifteen seconds", () => {
    expect(patience(100, 100, 100, 100)).toBe(15_000);
    expect(patience(5000, 5000, 5000, 5000)).toBe(50_000);
  });

  it("does not learn from one long silence, nor from what is told twice", () => {
    expect(patience(5000, 5000, 600_000, 5000, 5000)).toBe(50_000);
    expect(patience(5000, 0, 0, 0, 0, 0, 5000)).toBeUndefined();
  });
});
