import type { FeedChange } from "@tidewire/client";
import { createEffect, createSignal, Index } from "solid-js";
import type { Board } from "../board.ts";
import { numberFormat } from "../format.ts";
import type { NamedPanel } from "../panel/layout.ts";
import { levelOf } from "../panel/level.ts";
import { MoreLeft } from "../panel/MoreLeft.tsx";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import type { Rows } from "../panel/rows.ts";
import { type Fault, unknownColumn } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { fits } from "../table/fits.ts";
import { sortKeyOf } from "../table/order.ts";
import { isWhole } from "../value.ts";
import { type Ranked, type RankingColumns, rank } from "./ranking.ts";

/** Nobody reads further down a moving list. */
const ROWS_SHOWN = 100;

interface Shown {
  readonly name: string;
  readonly text: string;
  readonly share: number;
  readonly level: string;
}

/** Names with a bar and a number each, the greatest first. */
export function RankPanel(props: { panel: NamedPanel; board: Board }) {
  const { panel, board } = props;
  const [fault, setFault] = createSignal<Fault>();
  const [shown, setShown] = createSignal<readonly Shown[]>([]);
  const [left, setLeft] = createSignal(0);
  const [unit, setUnit] = createSignal(panel.unit ?? "");
  const [name = "", value = ""] = [panel.x ?? "", panel.y[0] ?? ""];
  let rows: Rows | undefined;

  function take(found: Rows, _change: FeedChange): void {
    rows = found;
    const sorted = panel.sort?.replace(/^-/, "") ?? null;
    setFault(unknownColumn([name, value, sorted], panel.feed, rows.columns));
  }

  function draw(): void {
    if (rows === undefined || fault() !== undefined) return;
    const columns: RankingColumns = {
      name: rows.indexOf(name),
      value: rows.indexOf(value),
      sort: sortKeyOf(panel.sort, rows),
    };
    const all = rank(rows, columns);
    const first = all.slice(0, panel.rows ?? ROWS_SHOWN);
    const most = Math.max(0, ...first.map((row: Ranked) => Math.abs(row.value ?? 0)));
    const whole = isWhole(rows.columns[columns.value]?.type);
    const format = numberFormat(panel.unit, most, whole);
    const longest = panel.max ?? most;
    setUnit(format.unit);
    setShown(
      first.map((row) => ({
        name: row.name,
        text: row.value === null ? "–" : format.write(row.value),
        share: longest > 0 ? Math.min(1, Math.abs(row.value ?? 0) / longest) : 0,
        level: levelOf(row.value ?? undefined, panel),
      })),
    );
    setLeft(panel.rows === null ? all.length - first.length : 0);
  }

  const feed = useFeed(board, panel, take, draw);

  return (
    <PanelFrame panel={panel} board={board} feed={feed} fault={fault()} note={unit()}>
      <section class="rows" tabindex="0" data-fits={fits(panel.rows)} aria-label={`Rows of ${panel.title}`}>
        <table class="ranking">
          <thead class="unseen">
            <tr>
              <th scope="col">{name}</th>
              <th scope="col">{value}</th>
            </tr>
          </thead>
          <tbody>
            <Index each={shown()}>
              {(row) => (
                <tr data-level={row().level}>
                  <th scope="row" title={row().name}>
                    <bdi>{row().name}</bdi>
                  </th>
                  <td>
                    <div>
                      <Bar share={row().share} />
                      <span>{row().text}</span>
                    </div>
                  </td>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
      </section>
      <MoreLeft count={left()} />
    </PanelFrame>
  );
}

/** A bar within a row; the number beside it says the same. */
export function Bar(props: { share: number }) {
  return (
    <i
      class="bar"
      aria-hidden="true"
      ref={(element) => createEffect(() => element.style.setProperty("--share", String(props.share)))}
    />
  );
}
