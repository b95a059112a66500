/**
 * The messages of `tidewire.v1.json`. Fields that are not named here are ignored:
 * the server may add some, and never changes these.
 */

/** The WebSocket subprotocol that this client speaks. */
export const SUBPROTOCOL = "tidewire.v1.json";

/**
 * A cell. Timestamps are milliseconds since 1970; a 64-bit integer beyond 2^53 and a
 * decimal are text; NaN and infinities are null; a json column is the value itself.
 */
export type Value = string | number | boolean | null | { readonly [key: string]: unknown } | readonly unknown[];

/** A column of a view. */
export interface Column {
  readonly name: string;
  /** `text`, `bigint`, `int`, `double`, `boolean`, `timestamp`, `json`. */
  readonly type: string;
}

/** What a client asks for. */
export type Request =
  | { op: "subscribe"; ref: number; feed: string; since?: string; dashboard?: string; max_rate?: number }
  | { op: "unsubscribe"; ref: number }
  | { op: "ping"; ref: number };

/** The answer to `subscribe`: the view that the frames will name, and its shape. */
export interface Subscribed {
  readonly type: "subscribed";
  readonly ref: number;
  readonly view: string;
  readonly key: readonly string[];
  readonly columns: readonly Column[];
}

/** A piece of a snapshot: one array a column. All pieces but the last say `more`; only the last has the cursor. */
export interface Snapshot {
  readonly type: "snapshot";
  readonly view: string;
  readonly cursor?: string;
  readonly more?: boolean;
  readonly reset?: boolean;
  readonly data: readonly (readonly Value[])[];
}

/** The newest change of each key after `from`, up to and including `cursor`: one array a row. */
export interface Delta {
  readonly type: "delta";
  readonly view: string;
  readonly from: string;
  readonly cursor: string;
  readonly upsert?: readonly (readonly Value[])[];
  readonly delete?: readonly (readonly Value[])[];
}

/** A request that was refused; without `ref`, a message that could not be read. */
export interface Refused {
  readonly type: "error";
  readonly ref?: number;
  readonly code: string;
  readonly message: string;
}

/** The answer to `ping`. */
export interface Pong {
  readonly type: "pong";
  readonly ref: number;
}

/** The server is about to close the socket, and says when to come back. */
export interface Closing {
  readonly type: "closing";
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms?: number;
}

/** What a server says. */
export type Message = Subscribed | Snapshot | Delta | Pong | Refused | Closing;

/** A frame that breaks the protocol: the connection is given up and opened anew. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/**
 * Reads a frame. A type that this version does not know gives `undefined`.
 *
 * @throws {ProtocolError} where a field that the client relies on is missing or of another kind.
 */
export function parseMessage(text: unknown): Message | undefined {
  if (typeof text !== "string") throw new ProtocolError("expected a text frame, found a binary one");
  let message: Record<string, unknown> | null;
  try {
    message = JSON.parse(text);
  } catch {
    throw new ProtocolError("expected JSON, found something else");
  }
  if (typeof message !== "object" || message === null) throw new ProtocolError("expected an object");
  const has = (field: string, kind: "string" | "number") => typeof message[field] === kind;
  const list = (field: string) => message[field] === undefined || Array.isArray(message[field]);
  let whole: boolean;
  switch (message.type) {
    case "subscribed":
      whole = has("ref", "number") && has("view", "string") && isTexts(message.key) && isColumns(message.columns);
      break;
    case "snapshot":
      whole =
        has("view", "string") && Array.isArray(message.data) && (message.more === true || has("cursor", "string"));
      break;
    case "delta":
      whole =
        has("view", "string") && has("from", "string") && has("cursor", "string") && list("upsert") && list("delete");
      break;
    case "pong":
      whole = has("ref", "number");
      break;
    case "error":
    case "closing":
      whole = has("code", "string");
      break;
    default:
      return undefined;
  }
  if (!whole) throw new ProtocolError(`a field of a ${message.type} message is missing or malformed`);
  return message as unknown as Message;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((v) => typeof v === "string");

const isColumns = (value: unknown): value is Column[] =>
  Array.isArray(value) && value.every((c) => typeof c?.name === "string" && typeof c?.type === "string");
