import { createSignal, For, Show } from "solid-js";
import type { Board } from "../board.ts";
import { niceRange, type Range } from "../chart/scale.ts";
import { isBytes, type NumberFormat, numberFormat } from "../format.ts";
import type { NamedPanel } from "../panel/layout.ts";
import { levelOf, limitPassed } from "../panel/level.ts";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import type { Fault } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { Reader } from "../stat/reading.ts";

interface Shown {
  readonly value: number | undefined;
  readonly ends: Range;
  readonly format: NumberFormat;
}

/** The arc: three quarters of a circle, open below. Its length counts as 100. */
const ARC = arc(0, 1);

/** One number between two ends. */
export function GaugePanel(props: { panel: NamedPanel; board: Board }) {
  const { panel, board } = props;
  const [fault, setFault] = createSignal<Fault>();
  const [shown, setShown] = createSignal<Shown>({
    value: undefined,
    ends: [0, 1],
    format: numberFormat(panel.unit, 0),
  });
  const reader = new Reader(panel);
  /** The greatest end so far: a scale that shrinks again would move under a value that stands still. */
  let reached = 0;

  function draw(): void {
    const { reading } = reader;
    if (reading === undefined) return;
    const value = reading.buckets.at(reading.buckets.x.length - 1) ?? undefined;
    const percent = panel.unit === "%";
    if (!percent && value !== undefined) {
      reached = Math.max(
        reached,
        niceRange(0, Math.max(value, panel.bad ?? 0, panel.warn ?? 0), isBytes(panel.unit) ? 2 : 10)[1],
      );
    }
    const ends: Range = [panel.min ?? 0, panel.max ?? (percent ? 100 : reached)];
    const most = Math.max(Math.abs(ends[0]), Math.abs(ends[1]), Math.abs(value ?? 0));
    setShown({ value, ends, format: numberFormat(panel.unit, most, reading.whole) });
  }

  const feed = useFeed(board, panel, (rows, change) => setFault(reader.take(rows, change)), draw);
  const level = () => levelOf(shown().value, panel);
  const share = (value: number) => {
    const [low, high] = shown().ends;
    return high > low ? Math.min(1, Math.max(0, value / (high - low) - low / (high - low))) : 0;
  };
  const written = (value: number | undefined) => (value === undefined ? "–" : shown().format.write(value));
  const limits = () => [panel.warn, panel.bad].filter((limit) => limit !== null);

  return (
    <PanelFrame panel={panel} board={board} feed={feed} fault={fault()} note="">
      <div class="gauge" data-level={level()}>
        <svg viewBox="0 0 120 108" aria-hidden="true">
          <path class="track" d={ARC} pathLength="100" />
          <path
            class="reach"
            d={ARC}
            pathLength="100"
            visibility={shown().value === undefined ? "hidden" : undefined}
            stroke-dasharray={`${share(shown().value ?? 0) * 100} 200`}
          />
          <For each={limits()}>{(limit) => <path class="limit" d={tick(share(limit))} />}</For>
          <text class="end" x="24.6" y="107">
            {short(shown().format.write(shown().ends[0]))}
          </text>
          <text class="end" x="95.4" y="107">
            {short(shown().format.write(shown().ends[1]))}
          </text>
        </svg>
        <p class="value" data-level={level()}>
          <span>{written(shown().value)}</span>
          <small>{shown().format.unit}</small>
        </p>
      </div>
      <Show when={limits().length > 0}>
        <p class="change centred">
          {limitPassed(shown().value, panel, shown().format.write) ||
            (shown().value === undefined ? "" : "within its limits")}
        </p>
      </Show>
    </PanelFrame>
  );
}

/** The ends are round numbers. */
const short = (text: string): string => text.replace(/\.0+$/, "");

function point(share: number, radius: number): string {
  const angle = (0.75 + 1.5 * share) * Math.PI;
  return `${(60 + radius * Math.cos(angle)).toFixed(2)} ${(58 + radius * Math.sin(angle)).toFixed(2)}`;
}

function arc(from: number, to: number): string {
  return `M ${point(from, 50)} A 50 50 0 1 1 ${point(to, 50)}`;
}

/** A notch across the arc. */
const tick = (share: number): string => `M ${point(share, 46.4)} L ${point(share, 53.6)}`;
