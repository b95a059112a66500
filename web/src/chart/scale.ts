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
  // Quarters first, so that the distance of two great numbers is still a number.
  const step = niceStep(to / 4 - from / 4, base);
  return [finite(Math.floor(from / step + 1e-9) * step), finite(Math.ceil(to / step - 1e-9) * step)];
}

const finite = (value: number): number => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, value));

/** The round step at or above `raw`: 1, 2, 2.5 or 5 times a power of ten, or a power of two. */
function niceStep(raw: number, base: 2 | 10): number {
  if (base === 2) return 2 ** Math.ceil(Math.log2(raw));
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 2.5, 5].find((candidate) => candidate * power >= raw * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** Steps that the y axis of bytes may take. */
export const BYTE_STEPS: number[] = Array.from({ length: 63 }, (_, power) => 2 ** power);

/** The least and greatest number among the cells of a window; infinities where there is none. */
export function extent(
  lines: readonly (readonly (number | null | undefined)[])[],
  window: { readonly from: number; readonly to: number },
): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const cells of lines) {
    for (let at = window.from; at < window.to; at++) {
      const cell = cells[at];
      if (cell === null || cell === undefined) continue;
      if (cell < low) low = cell;
      if (cell > high) high = cell;
    }
  }
  return [low, high];
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Steps that a time axis may take, in milliseconds. */
export const TIME_STEPS: number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((step) => step * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((step) => step * MINUTE),
  ...[1, 2, 3, 6, 12].map((step) => step * HOUR),
  ...[1, 2, 7, 14, 28, 91, 182, 365, 730, 1825, 3650].map((step) => step * DAY),
];

/** A shorter range of time may be divided into seconds. */
export const SECONDS_BELOW = 8 * MINUTE;

/** Labels of a time axis, 24 hours; the day only where the steps are days, or where one begins. */
export function timeLabels(splits: readonly number[], step: number): string[] {
  return splits.map((split) => {
    const at = new Date(split);
    const midnight = at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0;
    if (step >= DAY || midnight) return writeDay(at);
    return step < MINUTE ? writeSecond(at) : writeMinute(at);
  });
}
