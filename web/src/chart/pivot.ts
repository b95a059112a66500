import type { Column, FeedChange, Row, Value } from "@tidewire/client";

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

/** Finds the columns of a panel, or the name of the one that is missing. */
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
  readonly #axes: Axes;

  constructor(axes: Axes) {
    this.#axes = axes;
  }

  /** Takes what a feed has told; `all` gives its rows where they are to be read anew. */
  apply(change: FeedChange, all: () => Iterable<Row>): void {
    if (change.replaced) {
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
    const list = [...rows].filter((row) => numberOf(row[this.#axes.x]) !== null);
    // Ascending first: then each row is put at the end, whatever order the feed has.
    list.sort((a, b) => Number(a[this.#axes.x]) - Number(b[this.#axes.x]));
    for (const row of list) this.#put(row, true);
  }

  #put(row: Row, isNew: boolean): void {
    const x = numberOf(row[this.#axes.x]);
    if (x === null) return;
    const at = this.#insertX(x);
    if (isNew) this.#rowsAt[at] = (this.#rowsAt[at] ?? 0) + 1;
    for (const [index, column] of this.#axes.y.entries()) {
      const line = this.#line(this.#nameOf(row, index));
      line.cells[at] = numberOf(row[column]);
      if (isNew) line.rows += 1;
    }
  }

  #remove(row: Row): void {
    const x = numberOf(row[this.#axes.x]);
    if (x === null) return;
    const at = lowerBound(this.x, x);
    if (this.x[at] !== x) return;
    for (const index of this.#axes.y.keys()) {
      const name = this.#nameOf(row, index);
      const line = this.lines.get(name);
      if (line === undefined) continue;
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

  #line(name: string): Line {
    let line = this.lines.get(name);
    if (line === undefined) {
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

/** Integers beyond 2^53 and decimals come as text; what is no number is null. */
function numberOf(value: Value | undefined): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

const textOf = (value: Value | undefined): string =>
  value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);

/** The first position whose value is not below `x`. Looks at the end first: that is where time goes on. */
function lowerBound(sorted: readonly number[], x: number): number {
  const last = sorted.at(-1);
  if (last === undefined || last < x) return sorted.length;
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < x) low = middle + 1;
    else high = middle;
  }
  return low;
}
