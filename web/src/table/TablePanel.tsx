import type { Feed } from "@tidewire/client";
import { createSignal, Index, Show } from "solid-js";
import type { PanelConfig } from "../api.ts";
import type { Live } from "../live.ts";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import { type Fault, missingColumn } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { type ColumnFormat, columnFormat } from "./cells.ts";
import { firstRows } from "./order.ts";

/** Nobody reads further down a moving table. */
const ROWS_SHOWN = 100;

const NO_COLUMNS: readonly Pick<ColumnFormat, "name" | "kind">[] = [];

/** Rows and columns of a feed. */
export function TablePanel(props: { panel: PanelConfig; live: Live; dashboard: string }) {
  const { panel, live } = props;
  const [fault, setFault] = createSignal<Fault>();
  const [columns, setColumns] = createSignal(NO_COLUMNS);
  const [rows, setRows] = createSignal<readonly (readonly string[])[]>([]);
  const [left, setLeft] = createSignal(0);
  let current: Feed | undefined;

  function draw(): void {
    const table = current?.table;
    if (table === undefined) return;
    const names = panel.columns.length > 0 ? panel.columns : table.columns.map((column) => column.name);
    const missing = names.find((name) => table.indexOf(name) < 0);
    setFault(missing === undefined ? undefined : missingColumn(missing, panel.feed, table.columns));
    if (missing !== undefined) return;
    const shown = firstRows(table, ROWS_SHOWN);
    const now = Date.now();
    const places = names.map((name) => table.indexOf(name));
    const formats = places.flatMap((at) => {
      const column = table.columns[at];
      return column === undefined ? [] : [columnFormat(column, at, shown, now)];
    });
    setColumns((before) => (sameColumns(before, formats) ? before : formats));
    setRows(shown.map((row) => formats.map((format, index) => format.write(row[places[index] ?? -1]))));
    setLeft(table.size - shown.length);
  }

  const feed = useFeed(
    live,
    props.dashboard,
    panel.feed,
    (it) => {
      current = it;
    },
    draw,
  );

  return (
    <PanelFrame panel={panel} live={live} feed={feed} fault={fault()} note={panel.unit ?? ""}>
      <section class="rows" tabindex="0" aria-label={`Rows of ${panel.title}`}>
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
                    {(cell, index) => <td class={classOf(columns()[index]?.kind ?? "words")}>{cell()}</td>}
                  </Index>
                </tr>
              )}
            </Index>
          </tbody>
        </table>
      </section>
      <Show when={left() > 0}>
        <p class="foot">+{left().toLocaleString("en")} more rows</p>
      </Show>
    </PanelFrame>
  );
}

const classOf = (kind: ColumnFormat["kind"]): string =>
  kind === "number" ? "" : kind === "when" ? "left when" : "left";

const sameColumns = (a: typeof NO_COLUMNS, b: typeof NO_COLUMNS): boolean =>
  a.length === b.length && a.every((column, at) => column.name === b[at]?.name && column.kind === b[at]?.kind);
