import type { Feed, FeedChange } from "@tidewire/client";
import { createEffect, createSignal, Index, on, onCleanup, onMount, Show } from "solid-js";
import type { PanelConfig } from "../api.ts";
import { numberFormat, writeTime } from "../format.ts";
import { inFrame, notInFrame } from "../frame.ts";
import type { Live } from "../live.ts";
import { onLook, seriesToken } from "../palette.ts";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import { type Fault, missingColumn } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { LineChoice } from "./choice.ts";
import { type Axes, findAxes, newest, Pivot } from "./pivot.ts";
import { type Picture, Plot, type Stroke } from "./plot.ts";
import { type Spoken, SpokenTable } from "./SpokenTable.tsx";

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

/** Lines over a feed's rows. */
export function LinePanel(props: { panel: PanelConfig; live: Live; dashboard: string }) {
  const { panel, live } = props;
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
  let picture: Picture | undefined;
  let spokenAt = 0;

  function take(feed: Feed, change: FeedChange): void {
    const table = feed.table;
    if (table === undefined) return;
    if (table.columns !== shape) {
      shape = table.columns;
      const found = findAxes(table.columns, panel);
      if ("missing" in found) {
        setFault(missingColumn(found.missing, panel.feed, table.columns));
        pivot = undefined;
        return;
      }
      setFault(undefined);
      axes = found;
      pivot = new Pivot(axes);
      const typeOf = (column: number) => table.columns[column]?.type ?? "";
      time = typeOf(axes.x) === "timestamp";
      whole = axes.y.every((column) => ["bigint", "int"].includes(typeOf(column)));
    }
    pivot?.apply(change, () => table.rows());
  }

  function draw(): void {
    if (pivot === undefined || plot === undefined) return;
    const strokes: Stroke[] = [];
    for (const [slot, line] of choice.choose(pivot.lines).entries()) {
      if (line !== undefined) strokes.push({ name: line.name, slot, cells: line.cells });
    }
    const bytes = numberFormat(panel.unit, 0).unit.startsWith("B");
    const [low, high] = Plot.yRange(strokes, bytes);
    const format = numberFormat(panel.unit, Math.max(Math.abs(low), Math.abs(high)), whole);
    picture = { x: pivot.x, strokes, time, bytes, format };
    setUnit(format.unit);
    setHidden(pivot.lines.size - strokes.length);
    plot.draw(picture);
    readKey(plot.hovered);
    if (Date.now() - spokenAt >= SPOKEN_EVERY) speak();
  }

  /** The key reads all lines at one time: the one under the pointer, else the newest of each. */
  function readKey(at: number | undefined): void {
    if (picture === undefined || pivot === undefined) return;
    const { x, strokes, format } = picture;
    const entries = strokes.map(({ name, slot }) => {
      const line = pivot?.lines.get(name);
      const value = at === undefined ? line && newest(line) : line?.cells[at];
      return { name, slot, value: value === undefined || value === null ? "–" : format.write(value) };
    });
    setKey(entries);
    setDigits((most) => Math.max(most, ...entries.map((entry) => entry.value.length)));
    setHoveredX(at === undefined ? undefined : x[at]);
  }

  function speak(): void {
    if (picture === undefined) return;
    spokenAt = Date.now();
    const { x, strokes, format } = picture;
    const rows = [];
    for (let at = x.length - 1; at >= 0 && rows.length < SPOKEN_ROWS; at--) {
      rows.push({
        x: x[at] ?? 0,
        cells: strokes.map(({ cells }) => {
          const cell = cells[at];
          return cell === undefined || cell === null ? "" : format.write(cell);
        }),
      });
    }
    setSpoken({ lines: strokes.map((stroke) => stroke.name), rows });
  }

  const feed = useFeed(live, props.dashboard, panel.feed, take, draw);
  onMount(() => {
    plot = new Plot(box, readKey);
    const stopLooking = onLook(() => plot?.redraw());
    inFrame(draw);
    onCleanup(() => {
      stopLooking();
      notInFrame(draw);
      plot?.destroy();
    });
  });
  // The last change of a feed that then falls silent must be spoken too.
  createEffect(
    on(live.now, (now) => {
      if (now - spokenAt >= SPOKEN_EVERY) speak();
    }),
  );

  const note = () => {
    const at = hoveredX();
    if (at === undefined) return unit();
    return time ? writeTime(at, live.now()) : String(at);
  };

  return (
    <PanelFrame panel={panel} live={live} feed={feed} fault={fault()} note={note()}>
      <div class="chart" aria-hidden="true">
        <div ref={box} />
      </div>
      <ul class="key" aria-label="Lines and their newest values" ref={(list) => followDigits(list, digits)}>
        <Index each={key()}>
          {(entry) => (
            <li ref={(item) => followColour(item, () => entry().slot)}>
              <span title={entry().name}>{entry().name}</span>
              <b>{entry().value}</b>
            </li>
          )}
        </Index>
        <Show when={hidden() > 0}>
          <li class="more" title="The lines whose newest value was greatest are drawn.">
            +{hidden()} more
          </li>
        </Show>
      </ul>
      <SpokenTable title={panel.title} unit={unit()} time={time} table={spoken()} />
    </PanelFrame>
  );
}

/** Room for the longest number that was shown, so that the key does not move while numbers change. */
function followDigits(list: HTMLElement, digits: () => number): void {
  createEffect(() => list.style.setProperty("--digits", String(digits())));
}

function followColour(item: HTMLElement, slot: () => number): void {
  createEffect(() => item.style.setProperty("--colour", seriesToken(slot())));
}
