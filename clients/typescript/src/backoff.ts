/** How the waiting between attempts grows. */
export interface BackoffOptions {
  /** The longest wait before the second attempt, in milliseconds; 500 unless said. */
  readonly first?: number;
  /** The longest wait of all, in milliseconds; 15,000 unless said. */
  readonly max?: number;
  /** A number from 0 up to 1; `Math.random` unless said. */
  readonly random?: () => number;
}

/** No wait is shorter, so that a server that refuses at once is not asked in a tight loop. */
const SHORTEST = 100;

/**
 * Exponential back-off with full jitter: each wait is drawn evenly from nothing up to a
 * bound that doubles. After a server's restart its viewers come back spread out instead of
 * all at once. (Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
 */
export class Backoff {
  #bound: number;
  readonly #first: number;
  readonly #max: number;
  readonly #random: () => number;

  constructor(options: BackoffOptions = {}) {
    this.#first = options.first ?? 500;
    this.#max = options.max ?? 15_000;
    this.#random = options.random ?? Math.random;
    this.#bound = this.#first;
  }

  /** The next wait, in milliseconds. */
  next(): number {
    const wait = Math.max(SHORTEST, this.#random() * this.#bound);
    this.#bound = Math.min(this.#max, this.#bound * 2);
    return wait;
  }

  /** Starts over: the connection has proved good. */
  reset(): void {
    this.#bound = this.#first;
  }
}
