import type { Column, Value } from "./protocol.ts";

/** A row: its cells in the order of the columns. */
export type Row = readonly Value[];

/** What happened to one row: no `before` is an insert, no `after` a delete. */
export interface RowChange {
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** A key as a `Map` takes it: the cell itself where the key is one column, else its JSON. */
type Key = unknown;

/**
 * The rows of a view by key, oldest change first.
 *
 * It holds at most `limit` rows. A row too many drops the row that has not changed for
 * longest, and counts it in `dropped`: the server's feed is bounded by itself, so this only
 * guards the memory of a page against a feed that was never meant for one.
 */
export class Table {
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  readonly limit: number;
  #dropped = 0;
  readonly #rows = new Map<Key, Row>();
  readonly #keyColumns: readonly number[];

  constructor(columns: readonly Column[], key: readonly string[], limit: number) {
    this.columns = columns;
    this.key = key;
    this.limit = limit;
    this.#keyColumns = key.map((name) => columns.findIndex((column) => column.name === name));
  }

  /** How many rows it holds. */
  get size(): number {
    return this.#rows.size;
  }

  /** How many rows the limit has pushed out. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The rows, the one unchanged for longest first. */
  rows(): IterableIterator<Row> {
    return this.#rows.values();
  }

  /** The row of a key: its cells in the order of `key`. */
  get(key: readonly Value[]): Row | undefined {
    return this.#rows.get(keyOf(key));
  }

  /** The position of a column, or -1. */
  indexOf(column: string): number {
    return this.columns.findIndex((c) => c.name === column);
  }

  /** Writes a row; `note` is told of each change that follows from it. */
  upsert(row: Row, note?: (change: RowChange) => void): void {
    const key = keyOf(this.#keyColumns.map((at) => row[at] ?? null));
    const before = this.#rows.get(key);
    // Deleting first moves the row to the end: a `Map` keeps the order of insertion.
    if (before !== undefined) this.#rows.delete(key);
    this.#rows.set(key, row);
    note?.({ before, after: row });
    if (this.#rows.size > this.limit) this.#dropOldest(note);
  }

  /** Removes a row; a key that is not there is no error, as a delta may repeat a delete. */
  delete(cells: readonly Value[], note?: (change: RowChange) => void): void {
    const key = keyOf(cells);
    const before = this.#rows.get(key);
    if (before === undefined) return;
    this.#rows.delete(key);
    note?.({ before, after: undefined });
  }

  #dropOldest(note?: (change: RowChange) => void): void {
    for (const [key, before] of this.#rows) {
      this.#rows.delete(key);
      this.#dropped += 1;
      note?.({ before, after: undefined });
      return;
    }
  }
}

const keyOf = (cells: readonly Value[]): Key => (cells.length === 1 ? cells[0] : JSON.stringify(cells));
