import type { Column, FeedChange, Row } from "@tidewire/client";
import { lowerBound, numberOf, placeOf, textOf } from "../value.ts";

/**
 * Lines that are kept at most. Each has a cell for every x, so their number times that of the
 * rows must not grow: a series column may turn out to have a value of its own in each row.
 */
const MOST_LINES = 64;

/**
 * A cell of a line: a number, null where the feed says null, undefined where it has no row.
 * The chart draws a gap at null and goes on across undefined.
 */
export type Cell = number | null | undefined;

/** One line: its cells stand beside the pivot's `x`. */
export interface Line {
  readonly name: string;
  readonly cells: Cell[];
  /** How many rows it comes from; a line without rows is no line. */
  rows: number;
}

/** What becomes of the columns: positions in a row. */
export interface Axes {
  readonly x: number;
  readonly y: readonly number[];
  readonly yNames: readonly string[];
  readonly series: number | undefined;
}

/** Finds the columns of a panel that has an x axis, or the name of the one that is missing. */
export function findAxes(
  columns: readonly Column[],
  panel: { x: string | null; y: readonly string[]; series: string | null },
): Axes | { missing: string } {
  const at = (name: string) => columns.findIndex((column) => column.name === name);
  const wanted = [panel.x, ...panel.y, panel.series].filter((name) => name !== null);
  const missing = wanted.find((name) => at(name) < 0);
  if (missing !== undefined) return { missing };
  if (panel.x === null || panel.y.length === 0) return { missing: panel.x === null ? "x" : "y" };
  return {
    x: at(panel.x),
    y: panel.y.map(at),
    yNames: panel.y,
    series: panel.series === null ? undefined : at(panel.series),
  };
}

/**
 * Rows turned into lines over a shared, ascending x. A change costs a search and, at the end
 * of x, where changes happen, no moving of cells.
 *
 * Where two rows have the same x and series, because the feed's key has further columns, the
 * later change is shown.
 */
export class Pivot {
  readonly x: number[] = [];
  readonly lines = new Map<string, Line>();
  /** How many rows stand at each x. */
  readonly #rowsAt: number[] = [];
  /** The names of lines that there was no room for, and how many rows each has. */
  readonly #left = new Map<string, number>();
  readonly #axes: Axes;

  constructor(axes: Axes) {
    this.#axes = axes;
  }

  /** How many lines there are besides those that are kept. */
  get left(): number {
    return this.#left.size;
  }

  /** Takes what a feed has told; `all` gives its rows where they are to be read anew. */
  apply(change: FeedChange, all: () => Iterable<Row>): void {
    // Room again for lines that were left out: their past stands in the rows alone.
    const hasRoom = this.#left.size > 0 && this.lines.size < MOST_LINES;
    if (change.replaced || hasRoom) {
      this.#rebuild(all());
      return;
    }
    for (const { before, after } of change.rows) {
      if (before !== undefined && !(after !== undefined && this.#sameCells(before, after))) this.#remove(before);
      if (after !== undefined) this.#put(after, before === undefined || !this.#sameCells(before, after));
    }
  }

  #rebuild(rows: Iterable<Row>): void {
    this.x.length = 0;
    this.#rowsAt.length = 0;
    this.lines.clear();
    this.#left.clear();
    const placeIn = (row: Row) => placeOf(row[this.#axes.x]);
    const list = [...rows].filter((row) => placeIn(row) !== null);
    // Ascending first: then each row is put at the end, whatever order the feed has.
    list.sort((a, b) => Number(placeIn(a)) - Number(placeIn(b)));
    this.#reserve(list);
    for (const row of list) this.#put(row, true);
  }

  /** Where there are more lines than are kept, gives the room to those whose newest value is greatest. */
  #reserve(ascending: readonly Row[]): void {
    const newest = new Map<string, number>();
    for (const row of ascending) {
      for (const [index, column] of this.#axes.y.entries()) {
        newest.set(this.#nameOf(row, index), numberOf(row[column]) ?? Number.NEGATIVE_INFINITY);
      }
    }
    if (newest.size <= MOST_LINES) return;
    const greatest = [...newest].sort((a, b) => b[1] - a[1]);
    for (const [at, [name]] of greatest.entries()) {
      if (at >= MOST_LINES) this.#left.set(name, 0);
    }
  }

  #put(row: Row, isNew: boolean): void {
    const x = placeOf(row[this.#axes.x]);
    if (x === null) return;
    const at = this.#insertX(x);
    if (isNew) this.#rowsAt[at] = (this.#rowsAt[at] ?? 0) + 1;
    for (const [index, column] of this.#axes.y.entries()) {
      const name = this.#nameOf(row, index);
      const line = this.#line(name);
      if (line === undefined) {
        if (isNew) this.#left.set(name, (this.#left.get(name) ?? 0) + 1);
        continue;
      }
      line.cells[at] = numberOf(row[column]);
      if (isNew) line.rows += 1;
    }
  }

  #remove(row: Row): void {
    const x = placeOf(row[this.#axes.x]);
    if (x === null) return;
    const at = lowerBound(this.x, x);
    if (this.x[at] !== x) return;
    for (const index of this.#axes.y.keys()) {
      const name = this.#nameOf(row, index);
      const line = this.lines.get(name);
      if (line === undefined) {
        // What has no rows any longer is forgotten: names may come and go for weeks.
        const rows = (this.#left.get(name) ?? 0) - 1;
        if (rows > 0) this.#left.set(name, rows);
        else this.#left.delete(name);
        continue;
      }
      line.cells[at] = undefined;
      line.rows -= 1;
      if (line.rows === 0) this.lines.delete(name);
    }
    const left = (this.#rowsAt[at] ?? 1) - 1;
    this.#rowsAt[at] = left;
    if (left > 0) return;
    this.x.splice(at, 1);
    this.#rowsAt.splice(at, 1);
    for (const line of this.lines.values()) line.cells.splice(at, 1);
  }

  /** The position of an x, made if it is new. */
  #insertX(x: number): number {
    const at = lowerBound(this.x, x);
    if (this.x[at] === x) return at;
    this.x.splice(at, 0, x);
    this.#rowsAt.splice(at, 0, 0);
    for (const line of this.lines.values()) line.cells.splice(at, 0, undefined);
    return at;
  }

  /** The line of a name, made if it is new and there is room. */
  #line(name: string): Line | undefined {
    let line = this.lines.get(name);
    if (line === undefined) {
      if (this.lines.size >= MOST_LINES && !this.#left.has(name)) this.#left.set(name, 0);
      if (this.#left.has(name)) return undefined;
      line = { name, cells: new Array<Cell>(this.x.length).fill(undefined), rows: 0 };
      this.lines.set(name, line);
    }
    return line;
  }

  #nameOf(row: Row, index: number): string {
    const { series, yNames } = this.#axes;
    const y = yNames[index] ?? "";
    if (series === undefined) return y;
    const name = textOf(row[series]);
    return yNames.length === 1 ? name : `${name} ${y}`;
  }

  #sameCells(a: Row, b: Row): boolean {
    const { x, series } = this.#axes;
    return a[x] === b[x] && (series === undefined || a[series] === b[series]);
  }
}

/** The newest number of a line. */
export function newest(line: Line): number | undefined {
  for (let at = line.cells.length - 1; at >= 0; at--) {
    const cell = line.cells[at];
    if (cell !== undefined && cell !== null) return cell;
  }
  return undefined;
}
