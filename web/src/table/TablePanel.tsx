import { createSignal, Index, Show } from "solid-js";
import type { Board } from "../board.ts";
import type { NamedPanel } from "../panel/layout.ts";
import { MoreLeft } from "../panel/MoreLeft.tsx";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import type { Rows } from "../panel/rows.ts";
import { type Fault, unknownColumn } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { Bar } from "../rank/RankPanel.tsx";
import { numberOf } from "../value.ts";
import { type ColumnFormat, columnFormat } from "./cells.ts";
import { fits } from "./fits.ts";
import { firstRows, sortKeys } from "./order.ts";

/** Nobody reads further down a moving table. */
const ROWS_SHOWN = 100;

/** A column as its head shows it. */
interface Head extends Pick<ColumnFormat, "name" | "kind"> {
  readonly bar: boolean;
}

interface Cell {
  readonly text: string;
  /** How long its bar is, from 0 to 1. */
  readonly share: number;
}

const NO_COLUMNS: readonly Head[] = [];

/** Rows and columns of a feed. */
export function TablePanel(props: { panel: NamedPanel; board: Board }) {
  const { panel, board } = props;
  const [fault, setFault] = createSignal<Fault>();
  const [columns, setColumns] = createSignal(NO_COLUMNS);
  const [rows, setRows] = createSignal<readonly (readonly Cell[])[]>([]);
  const [left, setLeft] = createSignal(0);
  let current: Rows | undefined;

  function draw(): void {
    const table = current;
    if (table === undefined) return;
    const names = panel.columns.length > 0 ? panel.columns : table.columns.map((column) => column.name);
    const sorted = panel.sort?.replace(/^-/, "") ?? null;
    const found = unknownColumn([...names, ...panel.bars, sorted], panel.feed, table.columns);
    setFault(found);
    if (found !== undefined) return;
    const shown = firstRows(table, sortKeys(table, panel.sort), panel.rows ?? ROWS_SHOWN);
    const now = Date.now();
    const places = names.map((name) => table.indexOf(name));
    const formats = places.flatMap((at) => {
      const column = table.columns[at];
      return column === undefined ? [] : [columnFormat(column, at, shown, now)];
    });
    const heads = formats.map(({ name, kind }) => ({ name, kind, bar: panel.bars.includes(name) }));
    const longest = heads.map(({ bar }, index) =>
      bar ? shown.reduce((most, row) => Math.max(most, sizeOf(row[places[index] ?? -1])), 0) : 0,
    );
    setColumns((before) => (sameColumns(before, heads) ? before : heads));
    setRows(
      shown.map((row) =>
        formats.map((format, index) => {
          const value = row[places[index] ?? -1];
          const most = longest[index] ?? 0;
          return { text: format.write(value), share: most > 0 ? sizeOf(value) / most : 0 };
        }),
      ),
    );
    // Whoever asked for ten rows knows that there are more.
    setLeft(panel.rows === null && shown.length === ROWS_SHOWN ? table.size - shown.length : 0);
  }

  const feed = useFeed(
    board,
    panel,
    (rows) => {
      current = rows;
    },
    draw,
  );

  return (
    <PanelFrame panel={panel} board={board} feed={feed} fault={fault()} note={panel.unit ?? ""}>
      <section class="rows" tabindex="0" data-fits={fits(panel.rows)} aria-label={`Rows of ${panel.title}`}>
        <table>
          <thead>
            <tr>
              <Index each={columns()}>
                {(column) => (
                  <th scope="col" class={classOf(column().kind)}>
                    {column().name}
                  </th>
                )}
              </Index>
            </tr>
          </thead>
          <tbody>
            <Index each={rows()}>
              {(row) => (
                <tr>
                  <Index each={row()}>
                    {(cell, index) => (
                      <td class={classOf(columns()[index]?.kind ?? "words")} title={longText(cell().text)}>
                        <Show when={columns()[index]?.bar}>
                          <Bar share={cell().share} />
                        </Show>
                        <bdi>{cell().text}</bdi>
                      </td>
                    )}
                  </Index>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
      </section>
      <MoreLeft count={left()} what="rows" />
    </PanelFrame>
  );
}

const sizeOf = (value: Parameters<typeof numberOf>[0]): number => Math.abs(numberOf(value) ?? 0);

/** What a cell may have to cut off is there under the pointer. */
const longText = (text: string): string | undefined => (text.length > 30 ? text : undefined);

const classOf = (kind: ColumnFormat["kind"]): string =>
  kind === "number" ? "" : kind === "when" ? "left when" : "left";

const sameColumns = (a: readonly Head[], b: readonly Head[]): boolean =>
  a.length === b.length &&
  a.every((column, at) => column.name === b[at]?.name && column.kind === b[at]?.kind && column.bar === b[at]?.bar);
