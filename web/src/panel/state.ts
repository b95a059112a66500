import type { ConnectionState, FeedStatus } from "@tidewire/client";
import { isStale } from "../headline.ts";

/** What a panel shows, and how far it is to be believed. */
export type PanelState =
  | { readonly kind: "loading" }
  | { readonly kind: "empty" }
  | { readonly kind: "live" }
  | { readonly kind: "reconnecting" }
  | { readonly kind: "stale" }
  | { readonly kind: "error"; readonly what: string; readonly remedy: string };

/** Why a panel cannot be drawn although its feed is there. */
export interface Fault {
  readonly what: string;
  readonly remedy: string;
}

/** A panel's state: what is wrong first, then what is missing, then how old it is. */
export function panelState(
  status: FeedStatus,
  rows: number | undefined,
  fault: Fault | undefined,
  connection: ConnectionState,
  now: number,
): PanelState {
  if (status.kind === "error") return { kind: "error", ...explain(status.code, status.message) };
  if (fault !== undefined) return { kind: "error", ...fault };
  if (rows === undefined) return { kind: "loading" };
  if (rows === 0) return { kind: "empty" };
  if (connection.kind === "open") return { kind: "live" };
  return { kind: isStale(connection, now) ? "stale" : "reconnecting" };
}

/** A refusal in words of the person who looks at the panel. */
function explain(code: string, message: string): Fault {
  switch (code) {
    case "unknown_feed":
      return { what: message, remedy: "Correct `feed:` of this panel in the server's configuration." };
    case "limit_reached":
      return { what: message, remedy: "Show fewer feeds on this dashboard, or raise `limits:` of the server." };
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
