import type { FeedChange, Row } from "@tidewire/client";
import type { Combine } from "../api.ts";
import { lowerBound, numberOf, placeOf } from "../value.ts";

/** Where a number comes from: positions in a row. */
export interface Source {
  /** Without it all rows are one bucket. */
  readonly x: number | undefined;
  /** Without it rows can only be counted. */
  readonly y: number | undefined;
}

/** The rows of one x, the one changed last at the end. */
interface Bucket {
  readonly rows: Set<Row>;
  value: number | null | undefined;
}

/**
 * Rows made into one number for each x. A change costs a search and, when the number is
 * asked for, a walk over the rows of its x.
 */
export class Buckets {
  /** Ascending. */
  readonly x: number[] = [];
  readonly #buckets: Bucket[] = [];
  readonly #source: Source;
  readonly #combine: Combine;

  constructor(source: Source, combine: Combine) {
    this.#source = source;
    this.#combine = combine;
  }

  /** Takes what a feed has told; `all` is its rows where they are to be read anew. */
  apply(change: FeedChange, all: Iterable<Row>): void {
    if (change.replaced) {
      this.x.length = 0;
      this.#buckets.length = 0;
      const rows = [...all];
      const at = this.#source.x;
      // Ascending first: then each row is put at the end. The sort keeps the order of changes within an x.
      if (at !== undefined) rows.sort((a, b) => Number(placeOf(a[at])) - Number(placeOf(b[at])));
      for (const row of rows) this.#put(row);
      return;
    }
    for (const { before, after } of change.rows) {
      if (before !== undefined) this.#remove(before);
      if (after !== undefined) this.#put(after);
    }
  }

  /** The number of the x at a position; null where its rows have none. */
  at(position: number): number | null {
    const bucket = this.#buckets[position];
    if (bucket === undefined) return null;
    if (bucket.value === undefined) bucket.value = combine(bucket.rows, this.#source.y, this.#combine);
    return bucket.value;
  }

  /** The position of the newest x at or before `x`, or -1. */
  before(x: number): number {
    const at = lowerBound(this.x, x);
    return this.x[at] === x ? at : at - 1;
  }

  #xOf(row: Row): number | null {
    return this.#source.x === undefined ? 0 : placeOf(row[this.#source.x]);
  }

  #put(row: Row): void {
    const x = this.#xOf(row);
    if (x === null) return;
    const at = lowerBound(this.x, x);
    if (this.x[at] !== x) {
      this.x.splice(at, 0, x);
      this.#buckets.splice(at, 0, { rows: new Set(), value: undefined });
    }
    const bucket = this.#buckets[at] as Bucket;
    bucket.rows.add(row);
    bucket.value = undefined;
  }

  #remove(row: Row): void {
    const x = this.#xOf(row);
    if (x === null) return;
    const at = lowerBound(this.x, x);
    const bucket = this.#buckets[at];
    if (this.x[at] !== x || bucket === undefined) return;
    bucket.rows.delete(row);
    bucket.value = undefined;
    if (bucket.rows.size > 0) return;
    this.x.splice(at, 1);
    this.#buckets.splice(at, 1);
  }
}

/** One number of many rows; rows without a number are left out of all but `count`. */
function combine(rows: Set<Row>, y: number | undefined, how: Combine): number | null {
  if (how === "count") return rows.size;
  if (y === undefined) return null;
  let found = 0;
  let total = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let last: number | null = null;
  for (const row of rows) {
    const value = numberOf(row[y]);
    if (value === null) continue;
    found += 1;
    total += value;
    if (value < least) least = value;
    if (value > most) most = value;
    last = value;
  }
  if (found === 0) return null;
  const number = { last, sum: total, mean: total / found, min: least, max: most }[how];
  // A sum of great numbers may be beyond what a number can be.
  return number === null || Number.isFinite(number) ? number : null;
}
