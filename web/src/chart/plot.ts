import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { type NumberFormat, withoutZeros } from "../format.ts";
import { palette } from "../palette.ts";
import type { Cell } from "./pivot.ts";
import { BYTE_STEPS, extent, niceRange, type Range, timeLabels, xRange } from "./scale.ts";

/** A line as the canvas takes it. */
export interface Stroke {
  readonly name: string;
  readonly slot: number;
  readonly cells: readonly Cell[];
}

/** What the canvas draws. */
export interface Picture {
  readonly x: readonly number[];
  readonly strokes: readonly Stroke[];
  /** Whether x is a time. */
  readonly time: boolean;
  readonly bytes: boolean;
  readonly format: NumberFormat;
}

/** Charts with this key share the time under the pointer. */
const SYNC = "tidewire";
const FONT = '11px "Inter Variable", system-ui, sans-serif';

/**
 * A canvas that follows its box. It is made anew when its lines are others, and only fed
 * when they go on.
 */
export class Plot {
  #plot: uPlot | undefined;
  #made = "";
  #picture: Picture | undefined;
  readonly #box: HTMLElement;
  readonly #onHover: (index: number | undefined) => void;
  readonly #resize: ResizeObserver;

  /** @param onHover is given the position in x under the pointer, on this or any other chart. */
  constructor(box: HTMLElement, onHover: (index: number | undefined) => void) {
    this.#box = box;
    this.#onHover = onHover;
    this.#resize = new ResizeObserver(() => this.#plot?.setSize(this.#size()));
    this.#resize.observe(box);
  }

  /** The range that y would have for these lines. */
  static yRange(strokes: readonly Stroke[], bytes: boolean): Range {
    return niceRange(...extent(strokes.map((stroke) => stroke.cells)), bytes ? 2 : 10);
  }

  draw(picture: Picture): void {
    this.#picture = picture;
    const made = JSON.stringify([picture.time, picture.bytes, picture.strokes.map((s) => [s.slot, s.name])]);
    const data = [picture.x, ...picture.strokes.map((stroke) => stroke.cells)] as uPlot.AlignedData;
    if (this.#plot !== undefined && this.#made === made) {
      this.#plot.setData(data);
      return;
    }
    this.#plot?.destroy();
    this.#made = made;
    this.#plot = new uPlot(this.#options(picture), data, this.#box);
  }

  /** Draws the same again: the colours have changed. */
  redraw(): void {
    this.#plot?.redraw(false);
  }

  /** The position in x under the pointer. */
  get hovered(): number | undefined {
    return this.#plot?.cursor.idx ?? undefined;
  }

  destroy(): void {
    this.#resize.disconnect();
    this.#plot?.destroy();
  }

  #size(): { width: number; height: number } {
    return { width: this.#box.clientWidth, height: this.#box.clientHeight };
  }

  #options(picture: Picture): uPlot.Options {
    const axis: uPlot.Axis = {
      stroke: () => palette().faint,
      font: FONT,
      grid: { stroke: () => palette().grid, width: 1 },
      ticks: { show: false },
    };
    const yLabels = (values: number[]) => withoutZeros(values.map((value) => this.#picture?.format.write(value) ?? ""));
    return {
      ...this.#size(),
      ms: 1,
      // On the right, room for half of the last label.
      padding: [10, 26, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: picture.time, range: (_, low, high) => xRange(low, high) },
        y: { range: () => Plot.yRange(this.#picture?.strokes ?? [], picture.bytes) },
      },
      axes: [
        {
          ...axis,
          gap: 8,
          size: 28,
          space: 84,
          grid: { show: false },
          ...(picture.time && { values: (_, splits, _axis, _space, step) => timeLabels(splits, step) }),
        },
        {
          ...axis,
          gap: 8,
          space: 40,
          // The axis is as wide as its longest label, so that the picture reaches to the edge.
          size: (_, labels) => 14 + 6.6 * Math.max(2, ...(labels ?? []).map((label) => label.length)),
          values: (_, splits) => yLabels(splits),
          ...(picture.bytes && { incrs: BYTE_STEPS }),
        },
      ],
      cursor: {
        y: false,
        drag: { x: false, y: false },
        points: { size: 6 },
        sync: { key: SYNC, scales: ["x", null] },
      },
      hooks: { setCursor: [() => this.#onHover(this.hovered)] },
      series: [
        {},
        ...picture.strokes.map(
          (stroke): uPlot.Series => ({
            label: stroke.name,
            stroke: () => palette().series[stroke.slot] ?? palette().faint,
            width: 1.75,
            // A line needs two points; one alone is shown as such.
            points: { show: true, size: 5, filter: (plot, index) => lonely(plot.data[index] ?? []) },
          }),
        ),
      ],
    };
  }
}

/** The indices of values without a neighbour. */
function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) {
      found.push(i);
    }
  }
  return found;
}
