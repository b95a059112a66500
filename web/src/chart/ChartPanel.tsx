import type { FeedChange } from "@tidewire/client";
import { createEffect, createSignal, Index, on, onCleanup, onMount, Show } from "solid-js";
import type { Board } from "../board.ts";
import { isBytes, numberFormat, writeTime } from "../format.ts";
import { inFrame } from "../frame.ts";
import { onLook, seriesToken } from "../palette.ts";
import type { NamedPanel } from "../panel/layout.ts";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import type { Rows } from "../panel/rows.ts";
import { type Fault, missingColumn } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { isTime, isWhole } from "../value.ts";
import { LineChoice } from "./choice.ts";
import { type Axes, findAxes, type Line, newest, Pivot } from "./pivot.ts";
import { type Limit, type Picture, Plot, type Stroke } from "./plot.ts";
import { type Spoken, SpokenTable } from "./SpokenTable.tsx";
import { extent, niceRange, type Range } from "./scale.ts";
import { stack } from "./stack.ts";
import { stepOf, type Window, windowOf } from "./window.ts";

/** One entry of the key under the chart. */
interface KeyEntry {
  readonly name: string;
  readonly slot: number;
  readonly value: string;
}

/** The table behind a chart is read, not watched: it changes this seldom, in milliseconds. */
const SPOKEN_EVERY = 5000;
/** How many of the newest x it holds. */
const SPOKEN_ROWS = 60;

/** Lines, areas or bars over an x axis. */
export function ChartPanel(props: { panel: NamedPanel; board: Board }) {
  const { panel, board } = props;
  const { live, view } = board;
  const kind = panel.type === "bar" || panel.type === "area" ? panel.type : "line";
  const bytes = isBytes(panel.unit);
  const limits = (["warn", "bad"] as const).flatMap((level): Limit[] => {
    const value = panel[level];
    return value === null ? [] : [{ level, value }];
  });
  const [fault, setFault] = createSignal<Fault>();
  const [key, setKey] = createSignal<readonly KeyEntry[]>([]);
  const [hidden, setHidden] = createSignal(0);
  const [digits, setDigits] = createSignal(0);
  const [unit, setUnit] = createSignal(panel.unit ?? "");
  const [hoveredX, setHoveredX] = createSignal<number>();
  const [spoken, setSpoken] = createSignal<Spoken>({ lines: [], rows: [] });

  let box!: HTMLDivElement;
  let plot: Plot | undefined;
  let shape: readonly unknown[] | undefined;
  let axes: Axes | undefined;
  let pivot: Pivot | undefined;
  let time = true;
  let whole = false;
  const choice = new LineChoice(panel.series === null ? panel.y : undefined);
  let lines: readonly Line[] = [];
  let picture: Picture | undefined;
  let spokenAt = 0;

  function take(rows: Rows, change: FeedChange): void {
    if (rows.columns !== shape) {
      shape = rows.columns;
      const found = findAxes(rows.columns, panel);
      if ("missing" in found) {
        setFault(missingColumn(found.missing, panel.feed, rows.columns));
        pivot = undefined;
        return;
      }
      setFault(undefined);
      axes = found;
      pivot = new Pivot(axes);
      const typeOf = (column: number) => rows.columns[column]?.type ?? "";
      time = isTime(typeOf(axes.x));
      whole = axes.y.every((column) => isWhole(typeOf(column)));
    }
    pivot?.apply(change, () => rows);
  }

  function draw(): void {
    if (pivot === undefined || plot === undefined) return;
    const chosen = choice.choose(pivot.lines);
    const { x } = pivot;
    const window = windowOf(x, time, view.address().zoom, view.range());
    lines = chosen.filter((line) => line !== undefined);
    let strokes = chosen.flatMap((line, slot): Stroke[] =>
      line ? [{ name: line.name, slot, cells: line.cells }] : [],
    );
    if (kind === "bar") {
      const heights = stack(
        strokes.map((stroke) => stroke.cells),
        window,
      );
      // The longest first, so that the shorter ones stand before it.
      strokes = strokes.map((stroke, at) => ({ ...stroke, cells: heights[at] ?? [] })).reverse();
    }
    const yRange = yRangeOf(strokes, window);
    // The key names also values that are out of sight.
    const known = [...yRange, ...lines.map((line) => newest(line) ?? 0)];
    const format = numberFormat(panel.unit, Math.max(...known.map(Math.abs)), whole);
    const xRange = kind === "bar" ? withLastBar(window.range, stepOf(x, window)) : window.range;
    picture = { kind, x, strokes, time, xRange, yRange, bytes, format, limits };
    setUnit(format.unit);
    setHidden(pivot.lines.size + pivot.left - lines.length);
    plot.draw(picture);
    readKey(plot.hovered);
    if (Date.now() - spokenAt >= SPOKEN_EVERY) speak();
  }

  function yRangeOf(strokes: readonly Stroke[], window: Window): Range {
    const cells = strokes.map((stroke) => stroke.cells);
    const [low, high] = extent(cells, window);
    const fromZero = kind === "bar" && low <= high;
    const found = niceRange(fromZero ? Math.min(0, low) : low, fromZero ? Math.max(0, high) : high, bytes ? 2 : 10);
    const range: Range = [panel.min ?? found[0], panel.max ?? found[1]];
    return range[0] < range[1] ? range : found;
  }

  /** The key reads all lines at one time: the one under the pointer, else the newest of each. */
  function readKey(at: number | undefined): void {
    if (picture === undefined) return;
    const { x, format } = picture;
    const slots = new Map(picture.strokes.map((stroke) => [stroke.name, stroke.slot]));
    const entries = lines.map((line) => {
      const value = at === undefined ? newest(line) : line.cells[at];
      const text = value === undefined || value === null ? "–" : format.write(value);
      return { name: line.name, slot: slots.get(line.name) ?? 0, value: text };
    });
    setKey(entries);
    setDigits((most) => Math.max(most, ...entries.map((entry) => entry.value.length)));
    setHoveredX(at === undefined ? undefined : x[at]);
  }

  function speak(): void {
    if (picture === undefined) return;
    spokenAt = Date.now();
    const { x, format } = picture;
    const rows = [];
    for (let at = x.length - 1; at >= 0 && rows.length < SPOKEN_ROWS; at--) {
      const cells = lines.map((line) => {
        const cell = line.cells[at];
        return cell === undefined || cell === null ? "" : format.write(cell);
      });
      rows.push({ x: x[at] ?? 0, cells });
    }
    setSpoken({ lines: lines.map((line) => line.name), rows });
  }

  const feed = useFeed(board, panel, take, draw);
  onMount(() => {
    plot = new Plot(box, {
      hover: readKey,
      zoom: ([from, to]) => view.go({ zoom: [Math.floor(from), Math.ceil(to)] }),
      back: () => view.go({ zoom: undefined }),
    });
    onCleanup(onLook(() => plot?.redraw()));
    onCleanup(() => plot?.destroy());
    inFrame(draw);
  });
  // The last change of a feed that then falls silent must be spoken too.
  createEffect(
    on(live.now, (now) => {
      if (view.pausedAt() === undefined && now - spokenAt >= SPOKEN_EVERY) speak();
    }),
  );

  const note = () => {
    const at = hoveredX();
    if (at === undefined) return unit();
    return time ? writeTime(at, live.now()) : String(at);
  };

  return (
    <PanelFrame panel={panel} board={board} feed={feed} fault={fault()} note={note()}>
      <div class="chart" aria-hidden="true">
        <div ref={box} />
      </div>
      <ul class="key" aria-label="Lines and their newest values" ref={(list) => followDigits(list, digits)}>
        <Index each={key()}>
          {(entry) => (
            <li ref={(item) => followColour(item, () => entry().slot)}>
              <span title={entry().name}>
                <bdi>{entry().name}</bdi>
              </span>
              <b>{entry().value}</b>
            </li>
          )}
        </Index>
        <Show when={hidden() > 0}>
          <li class="more" title="The lines whose newest value was greatest are drawn.">
            +{hidden().toLocaleString("en")} more
          </li>
        </Show>
      </ul>
      <SpokenTable title={panel.title} unit={unit()} time={time} table={spoken()} />
    </PanelFrame>
  );
}

/** A bar stands to the right of its x. */
const withLastBar = ([low, high]: Range, step: number): Range => [low, high + step];

/** Room for the longest number that was shown, so that the key does not move while numbers change. */
function followDigits(list: HTMLElement, digits: () => number): void {
  createEffect(() => list.style.setProperty("--digits", String(digits())));
}

function followColour(item: HTMLElement, slot: () => number): void {
  createEffect(() => item.style.setProperty("--colour", seriesToken(slot())));
}
