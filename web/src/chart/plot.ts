import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { type NumberFormat, withoutZeros } from "../format.ts";
import { faded, palette } from "../palette.ts";
import { timeGaps } from "./gaps.ts";
import type { Cell } from "./pivot.ts";
import { BYTE_STEPS, type Range, SECONDS_BELOW, TIME_STEPS, timeLabels } from "./scale.ts";

/** A line as the canvas takes it. */
export interface Stroke {
  readonly name: string;
  readonly slot: number;
  readonly cells: readonly Cell[];
}

/** A threshold in the picture. */
export interface Limit {
  readonly level: "warn" | "bad";
  readonly value: number;
}

/** What the canvas draws. */
export interface Picture {
  readonly kind: "line" | "area" | "bar";
  readonly x: readonly number[];
  readonly strokes: readonly Stroke[];
  /** Whether x is a time. */
  readonly time: boolean;
  readonly xRange: Range;
  readonly yRange: Range;
  readonly bytes: boolean;
  readonly format: NumberFormat;
  readonly limits: readonly Limit[];
}

/** What a chart tells. */
export interface PlotEvents {
  /** The position in x under the pointer, on this or any other chart. */
  readonly hover: (index: number | undefined) => void;
  readonly zoom: (range: Range) => void;
  readonly back: () => void;
}

/** Charts with this key share the time under the pointer. */
export const SYNC = "tidewire";
const FONT = '11px "Inter Variable", system-ui, sans-serif';

/** The pointer's place alone is shared: zooming goes by the view. */
export const sharesPointer: uPlot.Cursor.Sync = {
  key: SYNC,
  scales: ["x", null],
  filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true },
};

/** The drawing library tells steps apart up to this; greater numbers are drawn as parts of it. */
const GREATEST = 1e15;

/**
 * A canvas that follows its box. It is made anew when its lines are others, and only fed
 * when they go on.
 */
export class Plot {
  #plot: uPlot | undefined;
  #made = "";
  #picture: Picture | undefined;
  /** What the numbers of y are divided by. */
  #divisor = 1;
  readonly #box: HTMLElement;
  readonly #events: PlotEvents;
  readonly #resize: ResizeObserver;

  constructor(box: HTMLElement, events: PlotEvents) {
    this.#box = box;
    this.#events = events;
    this.#resize = new ResizeObserver(() => {
      // A panel that is hidden has no size.
      if (box.clientWidth > 0) this.#plot?.setSize(this.#size());
    });
    this.#resize.observe(box);
  }

  draw(picture: Picture): void {
    this.#picture = picture;
    const most = Math.max(...picture.yRange.map(Math.abs));
    this.#divisor = most > GREATEST ? most / GREATEST : 1;
    const { kind, time, bytes, strokes } = picture;
    const made = JSON.stringify([kind, time, bytes, strokes.map((s) => [s.slot, s.name])]);
    const data = [picture.x, ...strokes.map((stroke) => this.#scaled(stroke.cells))] as uPlot.AlignedData;
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

  #scaled(cells: readonly Cell[]): readonly Cell[] {
    const by = this.#divisor;
    return by === 1 ? cells : cells.map((cell) => (cell === undefined || cell === null ? cell : cell / by));
  }

  #size(): { width: number; height: number } {
    return { width: this.#box.clientWidth, height: this.#box.clientHeight };
  }

  #options(picture: Picture): uPlot.Options {
    const { kind, time, bytes } = picture;
    const axis: uPlot.Axis = {
      stroke: () => palette().faint,
      font: FONT,
      grid: { stroke: () => palette().grid, width: 1 },
      ticks: { show: false },
    };
    const yLabels = (values: number[]) =>
      withoutZeros(values.map((value) => this.#picture?.format.write(value * this.#divisor) ?? ""));
    return {
      ...this.#size(),
      ms: 1,
      // On the right, room for half of the last label, unless it has seconds.
      padding: [10, PADDING, 0, 0],
      legend: { show: false },
      scales: {
        x: { time, range: () => [...(this.#picture?.xRange ?? [0, 1])] },
        y: { range: () => (this.#picture?.yRange ?? [0, 1]).map((end) => end / this.#divisor) as Range },
      },
      axes: [
        {
          ...axis,
          gap: 8,
          size: 28,
          grid: { show: false },
          ...(time && {
            // Seconds make a label half as long again.
            space: (_, __, low, high) => (high - low < SECONDS_BELOW ? 78 : 54),
            incrs: TIME_STEPS,
            values: (plot, splits, _axis, _space, step) =>
              timeLabels(splits, step).map((label, at) => (isCut(plot, splits[at] ?? 0, label) ? "" : label)),
          }),
        },
        {
          ...axis,
          gap: 8,
          space: 40,
          // The axis is as wide as its longest label, so that the picture reaches to the edge.
          size: (_, labels) => 14 + 6.6 * Math.max(2, ...(labels ?? []).map((label) => label.length)),
          values: (_, splits) => yLabels(splits),
          ...(bytes && { incrs: BYTE_STEPS }),
        },
      ],
      cursor: {
        y: false,
        drag: { x: time, y: false, setScale: false, dist: 6 },
        points: { size: 6, ...(kind === "bar" && { show: false }) },
        sync: sharesPointer,
        ...(kind === "bar" && {
          dataIdx: (_: uPlot, __: number, nearest: number, at: number) => this.#begun(nearest, at),
        }),
        bind: {
          dblclick: () => () => {
            this.#events.back();
            return null;
          },
        },
      },
      hooks: {
        setCursor: [() => this.#events.hover(this.hovered)],
        setSelect: [(plot) => this.#selected(plot)],
        drawAxes: [(plot) => this.#drawLimits(plot)],
      },
      series: [{}, ...picture.strokes.map((stroke) => seriesOf(kind, stroke, picture.strokes.length === 1, time))],
    };
  }

  /** The last x that is not after a place: a bar reads from where it begins. */
  #begun(nearest: number, at: number): number {
    const { x } = this.#picture ?? { x: [] };
    return nearest > 0 && (x[nearest] ?? 0) > at ? nearest - 1 : nearest;
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width <= 0) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#events.zoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
  }

  /** A quiet line for each threshold, named, below the data. */
  #drawLimits(plot: uPlot): void {
    const picture = this.#picture;
    if (picture === undefined) return;
    const [low, high] = picture.yRange;
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.font = FONT.replace("11px", `${11 * ratio}px`);
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.lineWidth = ratio;
    ctx.setLineDash([3 * ratio, 4 * ratio]);
    for (const { level, value } of picture.limits) {
      if (value < low || value > high) continue;
      const y = Math.round(plot.valToPos(value / this.#divisor, "y", true)) + 0.5;
      ctx.strokeStyle = faded(palette()[level], 0.55);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.fillStyle = palette()[level];
      ctx.fillText(level, bbox.left + bbox.width, y - 2 * ratio);
    }
    ctx.restore();
  }
}

/** To the right of a chart, in pixels. */
const PADDING = 18;
/** A letter of an axis label is about so wide. */
const LETTER = 6.4;

/** Whether a label would reach over the right edge. */
function isCut(plot: uPlot, x: number, label: string): boolean {
  const [low = 0, high = 1] = [plot.scales.x?.min ?? 0, plot.scales.x?.max ?? 1];
  const width = plot.bbox.width / uPlot.pxRatio;
  return (1 - (x - low) / (high - low)) * width + PADDING < (label.length * LETTER) / 2;
}

const colourOf = (slot: number): string => palette().series[slot] ?? palette().faint;

/** Wide bars look like blocks; beyond this they leave room, in pixels. */
const WIDEST_BAR = 56;
/** A bar begins at its x: it stands for the time from there to the next. */
const BAR: uPlot.Series.BarsPathBuilderOpts = { size: [0.74, WIDEST_BAR], align: 1 };
const roundBars = uPlot.paths.bars?.({ ...BAR, radius: 0.2 });
/** Bars that stand on each other must not be round where they meet. */
const stackedBars = uPlot.paths.bars?.(BAR);

function seriesOf(kind: Picture["kind"], stroke: Stroke, alone: boolean, time: boolean): uPlot.Series {
  const { name: label, slot } = stroke;
  if (kind === "bar") {
    const paths = alone ? roundBars : stackedBars;
    return { label, fill: () => colourOf(slot), width: 0, points: { show: false }, ...(paths && { paths }) };
  }
  return {
    label,
    stroke: () => colourOf(slot),
    width: 1.75,
    ...(time && { gaps: timeGaps }),
    ...(kind === "area" && { fill: () => faded(colourOf(slot), 0.14) }),
    // A line needs two points; one alone is shown as such.
    points: { show: true, size: 5, filter: (plot, index) => lonely(plot.data[index] ?? [], plot.series[0]?.idxs) },
  };
}

/** The indices, among those in sight, of values without a neighbour. */
function lonely(values: ArrayLike<number | null | undefined>, sight: readonly [number, number] | undefined): number[] {
  const [from, to] = sight ?? [0, values.length - 1];
  const found: number[] = [];
  for (let i = from; i <= to; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) found.push(i);
  }
  return found;
}
