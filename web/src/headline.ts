import type { ConnectionState } from "@tidewire/client";
import { writeMinute, writeSpan } from "./format.ts";

/** After this long without a connection, in milliseconds, what is shown no longer counts as now. */
export const STALE_AFTER = 30_000;

/** The state of the whole page in one line. The tone is also said in words, never by colour alone. */
export interface Headline {
  readonly tone: "ok" | "warn" | "bad" | "idle";
  readonly word: string;
  readonly detail: string;
  /** What can be done about it. */
  readonly action: "try now" | "go on" | undefined;
}

/** What the line sums up besides the connection. */
export interface Summary {
  /** Changes of rows a second. */
  readonly rate: number;
  /** Milliseconds to the server and back, where that is known. */
  readonly latency: number | undefined;
  /** Since when the picture waits, and how many changes it has not shown. */
  readonly paused: { readonly at: number; readonly changes: number } | undefined;
  readonly panels: number;
  readonly slow: number;
  readonly faulty: number;
}

/** When the connection was lost, if it is lost. */
export const lostAt = (state: ConnectionState): number | undefined =>
  state.kind === "waiting" || state.kind === "connecting" ? state.lostAt : undefined;

/** Whether the connection has been gone for so long that what is shown is of the past. */
export function isStale(state: ConnectionState, now: number): boolean {
  const lost = lostAt(state);
  return lost !== undefined && now - lost >= STALE_AFTER;
}

/** Says how the page stands: the connection first, then what the panels say. */
export function headline(state: ConnectionState, now: number, summary: Summary): Headline {
  const wait = state.kind === "waiting" ? `in ${writeSpan(state.retryAt - now)}` : "now";
  const action = state.kind === "waiting" ? "try now" : undefined;
  const lost = lostAt(state);
  switch (state.kind) {
    case "open":
      return connected(now, summary);
    case "closed":
      return { tone: "idle", word: "Closed", detail: "", action: undefined };
    default:
      if (lost === undefined) {
        return state.kind === "waiting"
          ? { tone: "bad", word: "No connection", detail: `again ${wait}`, action }
          : { tone: "idle", word: "Connecting", detail: "", action };
      }
      return isStale(state, now)
        ? { tone: "bad", word: "Stale", detail: `since ${writeMinute(new Date(lost))} · again ${wait}`, action }
        : { tone: "warn", word: "Reconnecting", detail: wait, action };
  }
}

function connected(now: number, { rate, latency, paused, panels, slow, faulty }: Summary): Headline {
  if (paused !== undefined) {
    const behind = `${writeSpan(now - paused.at)} behind · ${count(paused.changes, "change")}`;
    return { tone: "idle", word: "Paused", detail: behind, action: "go on" };
  }
  const some = (those: number) => (those === panels ? "" : `${those} of ${count(panels, "panel")}`);
  if (faulty > 0) return { tone: "bad", word: "Error", detail: some(faulty), action: undefined };
  if (slow > 0) return { tone: "warn", word: "Slow", detail: some(slow), action: undefined };
  const way = latency === undefined ? "" : `${writeLatency(latency)} · `;
  return { tone: "ok", word: "Live", detail: `${way}${count(rate, "update")}/s`, action: undefined };
}

const writeLatency = (milliseconds: number): string =>
  milliseconds < 1 ? "<1 ms" : `${Math.round(milliseconds).toLocaleString("en")} ms`;

const count = (number: number, what: string): string =>
  `${number.toLocaleString("en")} ${number === 1 ? what : `${what}s`}`;
