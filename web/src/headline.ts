import type { ConnectionState } from "@tidewire/client";
import { writeMinute, writeSpan } from "./format.ts";

/** After this long without a connection, in milliseconds, what is shown no longer counts as now. */
export const STALE_AFTER = 30_000;

/** The state of the whole page in one line. The tone is also said in words, never by colour alone. */
export interface Headline {
  readonly tone: "ok" | "warn" | "bad" | "idle";
  readonly word: string;
  readonly detail: string;
  /** Whether waiting can be cut short. */
  readonly canRetry: boolean;
}

/** When the connection was lost, if it is lost. */
export const lostAt = (state: ConnectionState): number | undefined =>
  state.kind === "waiting" || state.kind === "connecting" ? state.lostAt : undefined;

/** Whether the connection has been gone for so long that what is shown is of the past. */
export function isStale(state: ConnectionState, now: number): boolean {
  const lost = lostAt(state);
  return lost !== undefined && now - lost >= STALE_AFTER;
}

/** Says how the connection stands. `rate` is changes of rows a second. */
export function headline(state: ConnectionState, now: number, rate: number): Headline {
  const wait = state.kind === "waiting" ? `in ${writeSpan(state.retryAt - now)}` : "now";
  const canRetry = state.kind === "waiting";
  const lost = lostAt(state);
  switch (state.kind) {
    case "open":
      return {
        tone: "ok",
        word: "Live",
        detail: `${rate.toLocaleString("en")} ${rate === 1 ? "update" : "updates"}/s`,
        canRetry: false,
      };
    case "closed":
      return { tone: "idle", word: "Closed", detail: "", canRetry: false };
    default:
      if (lost === undefined) {
        return canRetry
          ? { tone: "bad", word: "No connection", detail: `again ${wait}`, canRetry }
          : { tone: "idle", word: "Connecting", detail: "", canRetry };
      }
      return isStale(state, now)
        ? { tone: "bad", word: "Stale", detail: `since ${writeMinute(new Date(lost))} · again ${wait}`, canRetry }
        : { tone: "warn", word: "Reconnecting", detail: wait, canRetry };
  }
}
