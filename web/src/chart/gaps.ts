import type uPlot from "uplot";

/** A time between two points that is so many usual ones is a gap. */
const STEPS = 4;
/** How many steps tell what is usual. */
const LOOKED_AT = 50;

/**
 * Where nothing came for a while a line is broken: drawn on, it would tell of values that there
 * were not. What uPlot breaks already, for cells without a value, stays broken.
 */
export function timeGaps(
  plot: uPlot,
  seriesIdx: number,
  from: number,
  to: number,
  gaps: uPlot.Series.Gaps,
): uPlot.Series.Gaps {
  const x = plot.data[0];
  const y = plot.data[seriesIdx];
  const most = STEPS * usualStep(x, from, to);
  if (y === undefined || !(most > 0)) return gaps;
  const found = [...gaps];
  let before: number | undefined;
  for (let at = from; at <= to; at++) {
    if (y[at] == null) continue;
    const [a, b] = [before === undefined ? undefined : x[before], x[at]];
    if (a !== undefined && b !== undefined && b - a > most) found.push([edge(plot, a), edge(plot, b)]);
    before = at;
  }
  return found.sort((a, b) => a[0] - b[0]);
}

const edge = (plot: uPlot, x: number): number => Math.round(plot.valToPos(x, "x", true));

/** The median of the newest steps. */
function usualStep(x: ArrayLike<number>, from: number, to: number): number {
  const steps: number[] = [];
  for (let at = Math.max(from + 1, to - LOOKED_AT); at <= to; at++) steps.push((x[at] ?? 0) - (x[at - 1] ?? 0));
  return steps.sort((a, b) => a - b)[steps.length >> 1] ?? 0;
}
