import type { Cell } from "./pivot.ts";
import type { Window } from "./window.ts";

/**
 * Cells standing on each other from zero: what is positive upwards, what is negative
 * downwards. Each is as far from zero as it and all before it are together, so they are
 * drawn last to first.
 */
export function stack(lines: readonly (readonly Cell[])[], window: Window): Cell[][] {
  const up: number[] = [];
  const down: number[] = [];
  return lines.map((cells) => {
    const stacked = new Array<Cell>(cells.length).fill(undefined);
    for (let at = window.from; at < window.to; at++) {
      const cell = cells[at];
      if (cell === undefined || cell === null) continue;
      const heights = cell < 0 ? down : up;
      const height = (heights[at] ?? 0) + cell;
      heights[at] = Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, height));
      stacked[at] = heights[at];
    }
    return stacked;
  });
}
