import { createSignal, Match, Switch } from "solid-js";
import type { Board } from "../board.ts";
import { ChartPanel } from "../chart/ChartPanel.tsx";
import type { NamedPanel } from "../panel/layout.ts";
import { PanelFrame } from "../panel/PanelFrame.tsx";
import { type Fault, missingKey } from "../panel/state.ts";
import { useFeed } from "../panel/useFeed.ts";
import { isTime } from "../value.ts";
import { RankPanel } from "./RankPanel.tsx";

/** Bars: over time where x is a time, else a ranking. Only the feed tells which. */
export function BarPanel(props: { panel: NamedPanel; board: Board }) {
  const { panel, board } = props;
  const missing = panel.x === null ? "x" : panel.y.length === 0 ? "y" : undefined;
  const fault: Fault | undefined = missing === undefined ? undefined : missingKey(missing, "bar");
  const [type, setType] = createSignal<string>();
  const feed = useFeed(
    board,
    panel,
    (rows) => setType(rows.columns.find((column) => column.name === panel.x)?.type ?? "timestamp"),
    () => {},
  );

  return (
    <Switch
      fallback={
        <PanelFrame panel={panel} board={board} feed={feed} fault={fault} note="">
          {""}
        </PanelFrame>
      }
    >
      <Match when={fault === undefined && isTime(type())}>
        <ChartPanel panel={panel} board={board} />
      </Match>
      <Match when={fault === undefined && type() !== undefined}>
        <RankPanel panel={panel} board={board} />
      </Match>
    </Switch>
  );
}
