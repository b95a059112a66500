import type { Column, FeedChange, Row, RowChange, Table } from "@tidewire/client";
import type { PanelConfig } from "../api.ts";
import { textOf } from "../value.ts";

/** The rows of a feed that a panel shows: all, or those that `only` names. */
export class Rows {
  readonly #table: Table;
  readonly #shows: ((row: Row) => boolean) | undefined;

  constructor(table: Table, only: PanelConfig["only"]) {
    this.#table = table;
    const conditions = Object.entries(only).map(([name, values]) => ({
      column: table.indexOf(name),
      values: new Set(values),
    }));
    if (conditions.length > 0) {
      this.#shows = (row) => conditions.every(({ column, values }) => values.has(textOf(row[column])));
    }
  }

  get columns(): readonly Column[] {
    return this.#table.columns;
  }

  get key(): readonly string[] {
    return this.#table.key;
  }

  /** The position of a column, or -1. */
  indexOf(column: string): number {
    return this.#table.indexOf(column);
  }

  /** The rows, the one unchanged for longest first. */
  *[Symbol.iterator](): IterableIterator<Row> {
    for (const row of this.#table.rows()) if (this.#shows?.(row) ?? true) yield row;
  }

  /** How many there are at most: exact where `only` says nothing, and 0 only where there is none. */
  get size(): number {
    if (this.#shows === undefined) return this.#table.size;
    return this[Symbol.iterator]().next().done ? 0 : this.#table.size;
  }

  /** How many rows the feed has, whether they are shown or not. */
  get inFeed(): number {
    return this.#table.size;
  }

  /** A change as far as it touches these rows. */
  filter(change: FeedChange): FeedChange {
    const shows = this.#shows;
    if (shows === undefined || change.replaced) return change;
    const part = (row: Row | undefined) => (row !== undefined && shows(row) ? row : undefined);
    const rows: RowChange[] = [];
    for (const { before, after } of change.rows) {
      const one = { before: part(before), after: part(after) };
      if (one.before !== undefined || one.after !== undefined) rows.push(one);
    }
    return { replaced: false, rows };
  }
}
