import type { Address } from "../address.ts";
import { lowerBound } from "../value.ts";
import type { Range } from "./scale.ts";

/** The part of x that is shown: its ends, and the positions that lie in it with a neighbour on each side. */
export interface Window {
  readonly range: Range;
  readonly from: number;
  /** Behind the last position. */
  readonly to: number;
}

/** Fewer points than this are no picture: then the range is left aside. */
const FEWEST = 3;

/**
 * The window of an ascending x. A range of time ends at the newest x, so that old data shows,
 * and begins where there is data. Where x is no time it is shown whole.
 */
export function windowOf(x: readonly number[], time: boolean, zoom: Address["zoom"], range: number): Window {
  const first = x[0];
  const last = x.at(-1);
  if (first === undefined || last === undefined) return { range: [0, 1], from: 0, to: 0 };
  const whole: Window = { range: first === last ? [first - 60_000, last] : [first, last], from: 0, to: x.length };
  if (!time) return whole;
  if (zoom !== undefined) return part(x, [...zoom]);
  const low = last - range;
  if (low <= first) return whole;
  const found = part(x, [low, last]);
  // Days do not show in minutes.
  return x.length - lowerBound(x, low) < Math.min(FEWEST, x.length) ? whole : found;
}

function part(x: readonly number[], range: Range): Window {
  return {
    range,
    // The lines go on to the edges.
    from: Math.max(0, lowerBound(x, range[0]) - 1),
    to: Math.min(x.length, lowerBound(x, range[1]) + 1),
  };
}

/** The smallest step between the x of a window: how wide a bar may be. */
export function stepOf(x: readonly number[], window: Window): number {
  let step = Number.POSITIVE_INFINITY;
  for (let at = window.from + 1; at < window.to; at++) {
    step = Math.min(step, (x[at] as number) - (x[at - 1] as number));
  }
  return Number.isFinite(step) ? step : 60_000;
}
