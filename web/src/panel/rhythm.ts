/** How many of the last gaps are remembered. */
const REMEMBERED = 9;
/** Before so many a feed has no rhythm: a table that never changes is not slow. */
const ENOUGH = 4;
/** A feed counts as slow after so many of its usual gaps, and never before so many milliseconds. */
const GAPS = 10;
const SHORTEST = 15_000;

/** Learns how often a feed changes, to say when it should have. */
export class Rhythm {
  #last: number | undefined;
  readonly #gaps: number[] = [];

  /** A change at a time in milliseconds; the same one may be told again. */
  note(at: number): void {
    if (at === this.#last) return;
    if (this.#last !== undefined) {
      this.#gaps.push(at - this.#last);
      if (this.#gaps.length > REMEMBERED) this.#gaps.shift();
    }
    this.#last = at;
  }

  /** Milliseconds without a change after which it is slow; `undefined` before it has a rhythm. */
  get patience(): number | undefined {
    if (this.#gaps.length < ENOUGH) return undefined;
    // The median: one long silence does not make the next one usual.
    const typical = [...this.#gaps].sort((a, b) => a - b)[this.#gaps.length >> 1] ?? 0;
    return Math.max(SHORTEST, GAPS * typical);
  }
}
