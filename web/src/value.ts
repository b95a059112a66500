import type { Value } from "@tidewire/client";

/** A cell as a number. Integers beyond 2^53 and decimals come as text; what is no number is null. */
export function numberOf(value: Value | undefined): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

/** Whether a column of this type is a time. */
export const isTime = (type: string | undefined): boolean => type === "timestamp" || type === "date";

/** Whether a column of this type counts: its numbers are whole. */
export const isWhole = (type: string | undefined): boolean => type === "bigint" || type === "int";

/** A cell along the x axis: a day comes as text, and begins at midnight where it is looked at. */
export function placeOf(value: Value | undefined): number | null {
  const number = numberOf(value);
  if (number !== null || typeof value !== "string" || !/^\d{4}-\d\d-\d\d$/.test(value)) return number;
  const day = new Date(`${value}T00:00:00`).getTime();
  return Number.isNaN(day) ? null : day;
}

/** A cell as text. */
export const textOf = (value: Value | undefined): string =>
  value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);

/** The first position whose value is not below `x`. Looks at the end first: that is where time goes on. */
export function lowerBound(sorted: readonly number[], x: number): number {
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
