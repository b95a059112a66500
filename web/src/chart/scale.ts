import { writeDay, writeMinute, writeSecond } from "../format.ts";

/** A range of an axis, from least to greatest. */
export type Range = [low: number, high: number];

/**
 * The range of y: from zero where the numbers come near it, to round numbers, so that the
 * picture stands still until a value leaves it.
 *
 * @param base 10, or 2 for bytes: what the steps are powers of.
 */
export function niceRange(low: number, high: number, base: 2 | 10 = 10): Range {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  let from = low;
  let to = high;
  if (from >= 0 && from <= to * 0.6) from = 0;
  else if (to <= 0 && to >= from * 0.6) to = 0;
  if (from === to) {
    const around = Math.abs(from) * 0.1 || 1;
    to += around;
    from = from === 0 ? 0 : from - around;
  }
  const step = niceStep((to - from) / 4, base);
  return [Math.floor(from / step + 1e-9) * step, Math.ceil(to / step - 1e-9) * step];
}

/** The round step at or above `raw`: 1, 2, 2.5 or 5 times a power of ten, or a power of two. */
function niceStep(raw: number, base: 2 | 10): number {
  if (base === 2) return 2 ** Math.ceil(Math.log2(raw));
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 2.5, 5].find((candidate) => candidate * power >= raw * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Steps that the y axis of bytes may take. */
export const BYTE_STEPS: number[] = Array.from({ length: 63 }, (_, power) => 2 ** power);

/** The least and greatest number among the cells; infinities where there is none. */
export function extent(lines: readonly (readonly (number | null | undefined)[])[]): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const cells of lines) {
    for (const cell of cells) {
      if (cell === null || cell === undefined) continue;
      if (cell < low) low = cell;
      if (cell > high) high = cell;
    }
  }
  return [low, high];
}

/** The range of x: it ends at the newest x, so that old data shows too. */
export function xRange(low: number, high: number): Range {
  return low === high ? [low - 60_000, high] : [low, high];
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;

/** Labels of a time axis, 24 hours; the day only where the steps are days, or where one begins. */
export function timeLabels(splits: readonly number[], step: number): string[] {
  return splits.map((split) => {
    const at = new Date(split);
    const midnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
    if (step >= DAY || midnight) return writeDay(at);
    return step < MINUTE ? writeSecond(at) : writeMinute(at);
  });
}
