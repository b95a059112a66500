import { createSignal, onCleanup, onMount, Show } from "solid-js";
import type { Board } from "../board.ts";
import { extent, niceRange } from "../chart/scale.ts";
import { Spark } from "../chart/spark.ts";
import { windowOf } from "../chart/window.ts";
import { isBytes, numberFormat, writeTime } from "../format.ts";
import { inFrame } from "../frame.ts";
import { onLook, SERIES_COLOURS } from "../palette.ts";
import type { NamedPanel } from "../panel/layout.ts";
import { type Level, levelOf } from "../panel/level.ts";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import type { Fault } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { type Change, changeOf, overLimit } from "./change.ts";
import { Reader } from "./reading.ts";

/** The number as it is written, and what is said of it. */
interface Shown {
  readonly value: string;
  readonly unit: string;
  readonly level: Level;
  readonly change: Change | undefined;
}

const NOTHING: Shown = { value: "–", unit: "", level: "ok", change: undefined };

/** One number of now, its change, and the way it came. @param props.slot the colour of its line. */
export function StatPanel(props: { panel: NamedPanel; board: Board; slot: number }) {
  const { panel, board } = props;
  const [fault, setFault] = createSignal<Fault>();
  const [shown, setShown] = createSignal(NOTHING);
  const [hovered, setHovered] = createSignal("");
  const reader = new Reader(panel);
  const hasLine = panel.x !== null;
  let box: HTMLDivElement | undefined;
  let spark: Spark | undefined;
  let read: ((at: number | undefined) => void) | undefined;

  function draw(): void {
    const { reading } = reader;
    if (reading === undefined) return;
    const { buckets, time, whole } = reading;
    const { x } = buckets;
    const window = windowOf(x, time, board.view.address().zoom, board.view.range());
    const xs = x.slice(window.from, window.to);
    const ys = xs.map((_, at) => buckets.at(window.from + at));
    const [low, high] = extent([ys], { from: 0, to: ys.length });
    const last = buckets.at(x.length - 1) ?? undefined;
    const most = Math.max(Math.abs(low), Math.abs(high), Math.abs(last ?? 0));
    const format = numberFormat(panel.unit, Number.isFinite(most) ? most : 0, whole);
    const level = levelOf(last, panel);
    setShown({
      value: last === undefined ? "–" : format.write(last),
      unit: format.unit,
      level,
      change: overLimit(last, panel, format.write) ?? change(),
    });
    const yRange = niceRange(low, high, isBytes(panel.unit) ? 2 : 10);
    spark?.draw({ x: xs, y: ys, yRange, slot: props.slot % SERIES_COLOURS, level });
    read = (at) => {
      const value = at === undefined ? undefined : ys[at];
      const when = at === undefined ? undefined : xs[at];
      if (when === undefined) return setHovered("");
      const text = value === undefined || value === null ? "–" : format.write(value);
      setHovered(`${text} · ${time ? writeTime(when, Date.now()) : when}`);
    };

    function change(): Change | undefined {
      if (panel.compare === null || last === undefined) return undefined;
      const earlier = buckets.at(buckets.before((x.at(-1) ?? 0) - panel.compare));
      return earlier === null ? undefined : changeOf(last, earlier, panel, format.write);
    }
  }

  const feed = useFeed(board, panel, (rows, change) => setFault(reader.take(rows, change)), draw);
  onMount(() => {
    if (box === undefined) return;
    spark = new Spark(box, (at) => read?.(at));
    onCleanup(onLook(() => spark?.redraw()));
    onCleanup(() => spark?.destroy());
    inFrame(draw);
  });

  return (
    <PanelFrame panel={panel} board={board} feed={feed} fault={fault()} note={hovered()}>
      <p class="value" data-level={shown().level}>
        <span>{shown().value}</span>
        <small>{shown().unit}</small>
      </p>
      <p class="change">
        <Show when={shown().change}>{(change) => <span data-tone={change().tone}>{change().text}</span>}</Show>
        <span>{shown().change?.against}</span>
      </p>
      <Show when={hasLine}>
        <div class="spark" aria-hidden="true">
          <div ref={(element) => (box = element)} />
        </div>
      </Show>
    </PanelFrame>
  );
}
