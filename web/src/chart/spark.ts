import uPlot from "uplot";
import { faded, palette } from "../palette.ts";
import type { Level } from "../panel/level.ts";
import { timeGaps } from "./gaps.ts";
import { sharesPointer } from "./plot.ts";
import type { Range } from "./scale.ts";

/** What a sparkline draws. */
export interface SparkPicture {
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
  readonly yRange: Range;
  readonly slot: number;
  readonly level: Level;
}

/** A small line without axes, which shares the pointer's time with the charts. */
export class Spark {
  readonly #plot: uPlot;
  readonly #resize: ResizeObserver;
  #picture: SparkPicture = { x: [], y: [], yRange: [0, 1], slot: 0, level: "ok" };

  constructor(box: HTMLElement, hover: (index: number | undefined) => void) {
    const size = () => ({ width: box.clientWidth, height: box.clientHeight });
    const colour = () => {
      const { level, slot } = this.#picture;
      return level === "ok" ? (palette().series[slot] ?? palette().faint) : palette()[level];
    };
    this.#plot = new uPlot(
      {
        ...size(),
        ms: 1,
        padding: [3, 0, 1, 0],
        legend: { show: false },
        scales: {
          x: { range: (_, low, high) => [low, high] },
          y: { range: () => [...this.#picture.yRange] },
        },
        axes: [{ show: false }, { show: false }],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 5 }, sync: sharesPointer },
        hooks: { setCursor: [(plot) => hover(plot.cursor.idx ?? undefined)] },
        series: [
          {},
          { stroke: colour, fill: () => faded(colour(), 0.14), width: 1.5, points: { show: false }, gaps: timeGaps },
        ],
      },
      [[], []],
      box,
    );
    this.#resize = new ResizeObserver(() => {
      if (box.clientWidth > 0) this.#plot.setSize(size());
    });
    this.#resize.observe(box);
  }

  draw(picture: SparkPicture): void {
    this.#picture = picture;
    this.#plot.setData([picture.x, picture.y] as unknown as uPlot.AlignedData);
  }

  redraw(): void {
    this.#plot.redraw(false);
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#plot.destroy();
  }
}
