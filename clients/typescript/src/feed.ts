import { compareCursors } from "./cursor.ts";
import type { Column, Delta, Snapshot, Subscribed } from "./protocol.ts";
import { ProtocolError } from "./protocol.ts";
import { type RowChange, Table } from "./table.ts";

/** Whether a feed's rows are here yet, or why they will not come. */
export type FeedStatus =
  | { readonly kind: "loading" }
  | { readonly kind: "live" }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

/** What a listener has not seen yet. */
export interface FeedChange {
  /** The table was swapped, or too much happened to list: read it anew. `rows` is empty then. */
  readonly replaced: boolean;
  /** The changes in the order in which they were made. */
  readonly rows: readonly RowChange[];
}

/** Below this many changes they are listed even where the table is smaller. */
const LISTED_AT_LEAST = 1000;

/** What to do about a delta. */
export type Applied = "applied" | "gap";

/**
 * A table kept up to date by the frames of one view: the snapshot, then every delta, so
 * that it holds exactly the feed as of its cursor (INV-3).
 */
export class Feed {
  /** Its name on the server. */
  readonly name: string;
  #status: FeedStatus = { kind: "loading" };
  #table: Table | undefined;
  #cursor: string | undefined;
  #lastData: number | undefined;
  /** The shape that the next snapshot will have. */
  #shape: { columns: readonly Column[]; key: readonly string[] } | undefined;
  /** The snapshot that is coming in pieces; it takes the table's place with its last piece. */
  #coming: Table | undefined;
  #replaced = false;
  #changes: RowChange[] = [];
  readonly #limit: number;

  constructor(name: string, limit: number) {
    this.name = name;
    this.#limit = limit;
  }

  get status(): FeedStatus {
    return this.#status;
  }

  /** The rows; `undefined` before the first snapshot is whole. */
  get table(): Table | undefined {
    return this.#table;
  }

  /** Where it stands: what `since` gives back to the server. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** When the rows last changed, in milliseconds since 1970. */
  get lastData(): number | undefined {
    return this.#lastData;
  }

  /** @internal The server has accepted the subscription. */
  subscribed(message: Subscribed): void {
    if (message.key.some((name) => !message.columns.some((column) => column.name === name))) {
      throw new ProtocolError(`the key of ${this.name} names a column that it does not have`);
    }
    this.#shape = { columns: message.columns, key: message.key };
    this.#coming = undefined;
    if (this.#table !== undefined) this.#status = { kind: "live" };
  }

  /** @internal The server has refused the subscription. */
  refused(code: string, message: string): void {
    this.#status = { kind: "error", code, message };
  }

  /** @internal Forgets the cursor: the server did not accept it. */
  forgetCursor(): void {
    this.#cursor = undefined;
  }

  /** @internal The connection is gone, and with it the rest of a snapshot. */
  interrupted(): void {
    this.#coming = undefined;
  }

  /** @internal Takes a piece of a snapshot. */
  snapshot(piece: Snapshot): void {
    if (this.#shape === undefined) throw new ProtocolError("a snapshot came before `subscribed`");
    this.#coming ??= new Table(this.#shape.columns, this.#shape.key, this.#limit);
    const width = this.#shape.columns.length;
    const length = piece.data[0]?.length ?? 0;
    if (piece.data.length !== width || piece.data.some((column) => column.length !== length)) {
      throw new ProtocolError(`a snapshot of ${this.name} does not have ${width} columns of one length`);
    }
    for (let at = 0; at < length; at++) {
      this.#coming.upsert(piece.data.map((column) => column[at] ?? null));
    }
    if (piece.more !== true) {
      this.#table = this.#coming;
      this.#coming = undefined;
      this.#cursor = piece.cursor;
      this.#status = { kind: "live" };
      this.#lastData = Date.now();
      this.#replace();
    }
  }

  /**
   * @internal Takes a delta. It is right for any cursor from `from` up to `cursor`: what is
   * already here is written again, a delete of what is not here does nothing. One that
   * begins behind our cursor would leave a hole, and is a gap.
   */
  delta(delta: Delta): Applied {
    const table = this.#table;
    if (table === undefined || this.#cursor === undefined) return "gap";
    const end = compareCursors(delta.cursor, this.#cursor);
    // An older delta would take rows back to what they were.
    if (end !== undefined && end <= 0) return "applied";
    const start = compareCursors(delta.from, this.#cursor);
    if (start === undefined || start > 0) return "gap";
    const note = (change: RowChange) => this.#note(change);
    for (const row of delta.upsert ?? []) table.upsert(row, note);
    for (const key of delta.delete ?? []) table.delete(key, note);
    this.#cursor = delta.cursor;
    if (changes(delta) > 0) this.#lastData = Date.now();
    return "applied";
  }

  /** @internal Hands over what happened since the last call. */
  takeChange(): FeedChange {
    const change = { replaced: this.#replaced, rows: this.#changes };
    this.#replaced = false;
    this.#changes = [];
    return change;
  }

  #note(change: RowChange): void {
    if (this.#replaced) return;
    this.#changes.push(change);
    // A hidden page is not drawn, so its changes are not taken; beyond this, reading anew is cheaper.
    if (this.#changes.length > Math.max(LISTED_AT_LEAST, this.#table?.size ?? 0)) this.#replace();
  }

  #replace(): void {
    this.#replaced = true;
    this.#changes = [];
  }
}

/** How many rows a delta writes or removes. */
export const changes = (delta: Delta): number => (delta.upsert?.length ?? 0) + (delta.delete?.length ?? 0);
