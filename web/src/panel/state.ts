import type { ConnectionState, FeedStatus } from "@tidewire/client";
import { isStale } from "../headline.ts";

/** What a panel shows, and how far it is to be believed. */
export type PanelState =
  | { readonly kind: "loading" }
  | { readonly kind: "empty" }
  | { readonly kind: "live" }
  /** It has not changed for longer than it should: how long, in milliseconds. */
  | { readonly kind: "slow"; readonly silence: number }
  | { readonly kind: "reconnecting" }
  | { readonly kind: "stale" }
  | { readonly kind: "error"; readonly what: string; readonly remedy: string };

/** Why a panel cannot be drawn although its feed is there. */
export interface Fault {
  readonly what: string;
  readonly remedy: string;
}

/** What is known of a feed. */
export interface Known {
  readonly status: FeedStatus;
  readonly rows: number | undefined;
  readonly lastData: number | undefined;
  readonly patience: number | undefined;
  readonly fault: Fault | undefined;
}

/** A panel's state: what is wrong first, then what is missing, then how old it is. */
export function panelState(known: Known, connection: ConnectionState, now: number): PanelState {
  const { status, rows, lastData, patience, fault } = known;
  if (status.kind === "error") return { kind: "error", ...explain(status.code, status.message) };
  if (fault !== undefined) return { kind: "error", ...fault };
  if (rows === undefined) return { kind: "loading" };
  if (rows === 0) return { kind: "empty" };
  if (connection.kind !== "open") return { kind: isStale(connection, now) ? "stale" : "reconnecting" };
  const silence = now - (lastData ?? now);
  return patience !== undefined && silence > patience ? { kind: "slow", silence } : { kind: "live" };
}

/** A refusal in words of the person who looks at the panel. */
function explain(code: string, message: string): Fault {
  switch (code) {
    case "unknown_feed":
      return { what: message, remedy: "Correct `feed:` of this panel in the server's configuration." };
    case "limit_reached":
      return { what: message, remedy: "Show fewer feeds on this dashboard, or raise `limits:` of the server." };
    case "unauthorized":
    case "forbidden":
      return { what: "You have no right to see this feed.", remedy: "Sign in, or ask who runs this server." };
    default:
      return { what: message, remedy: `The server's log says more; look for \`${code}\`.` };
  }
}

/** A column that the panel names and the feed does not have. */
export function missingColumn(missing: string, feed: string, columns: readonly { name: string }[]): Fault {
  return {
    what: `The feed \`${feed}\` has no column \`${missing}\`.`,
    remedy: `It has: ${columns.map((column) => column.name).join(", ")}. Correct this panel in the server's configuration.`,
  };
}

/** A key that this type of panel cannot do without. */
export const missingKey = (key: string, type: string): Fault => ({
  what: `A ${type} panel needs \`${key}:\`.`,
  remedy: "Add it to this panel in the server's configuration.",
});

/** The first column that the panel's settings name and the feed does not have. */
export function unknownColumn(
  names: readonly (string | null)[],
  feed: string,
  columns: readonly { name: string }[],
): Fault | undefined {
  const missing = names.find((name) => name !== null && !columns.some((column) => column.name === name));
  return missing === undefined || missing === null ? undefined : missingColumn(missing, feed, columns);
}
