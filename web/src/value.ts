import type { Value } from "@tidewire/client";

/** A cell as a number. Integers beyond 2^53 and decimals come as text; what is no number is null. */
export function numberOf(value: Value | undefined): number | null {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value === "") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
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
