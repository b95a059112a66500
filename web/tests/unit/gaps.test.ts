import type uPlot from "uplot";
import { describe, expect, it } from "vitest";
import { timeGaps } from "../../src/chart/gaps.ts";

/** A plot of ten pixels for each second. */
const plotOf = (x: readonly number[], y: readonly (number | null)[]): uPlot =>
  ({ data: [x, y], valToPos: (at: number) => at / 100 }) as unknown as uPlot;

const gapsOf = (x: readonly number[], y: readonly (number | null)[], before: uPlot.Series.Gaps = []) =>
  timeGaps(plotOf(x, y), 1, 0, x.length - 1, before);

describe("a line", () => {
  const steady = Array.from({ length: 20 }, (_, at) => at * 1000);

  it("is whole where values come as usual, though one or two are late", () => {
    expect(
      gapsOf(
        steady,
        steady.map(() => 1),
      ),
    ).toEqual([]);
    const late = [...steady, 22_000, 23_000];
    expect(
      gapsOf(
        late,
        late.map(() => 1),
      ),
    ).toEqual([]);
  });

  it("is broken where nothing came for a while", () => {
    const x = [...steady, 60_000, 61_000, 62_000];
    expect(
      gapsOf(
        x,
        x.map(() => 1),
      ),
    ).toEqual([[190, 600]]);
  });

  it("is broken by its own values, not by those of others, and keeps the breaks that it has", () => {
    // The other line has a value each second, this one none for ten.
    const y = steady.map((_, at) => (at > 4 && at < 15 ? null : 1));
    expect(gapsOf(steady, y, [[41, 149]])).toEqual([
      [40, 150],
      [41, 149],
    ]);
  });

  it("of one point, or of none, has no gaps", () => {
    expect(gapsOf([5000], [1])).toEqual([]);
    expect(gapsOf([], [])).toEqual([]);
  });
});
