import { createEffect, createMemo, createSignal, For, Match, on, onCleanup, Show, Switch } from "solid-js";
import {
  type DashboardConfig,
  type DashboardName,
  listDashboards,
  listSourced,
  Problem,
  readDashboard,
} from "./api.ts";
import { type Board, createStates, type Known } from "./board.ts";
import { ChartPanel } from "./chart/ChartPanel.tsx";
import { GaugePanel } from "./gauge/GaugePanel.tsx";
import { ConnectionLine, Controls, Header, RANGES, rangesOf } from "./Header.tsx";
import { KeysDialog } from "./KeysDialog.tsx";
import { followKeys, type Shortcut } from "./keys.ts";
import { createLive } from "./live.ts";
import { type NamedPanel, namePanels } from "./panel/layout.ts";
import { BarPanel } from "./rank/BarPanel.tsx";
import { StatPanel } from "./stat/StatPanel.tsx";
import { TablePanel } from "./table/TablePanel.tsx";
import { nextTheme } from "./theme.ts";
import { isOutdated } from "./upgrade.ts";
import { createView, type View } from "./view.ts";

const USUAL_RANGE = RANGES[1] ?? 0;

/** How often a page looks whether its dashboard is another one, in milliseconds. */
const LOOK_AGAIN = 10_000;

/** `/dashboard/{name}`: its panels, live. */
export function DashboardPage(props: { name: string }) {
  const live = createLive();
  const [dashboard, setDashboard] = createSignal<DashboardConfig>();
  const [names, setNames] = createSignal<readonly DashboardName[]>([]);
  const [problem, setProblem] = createSignal<Problem>();
  const [outdated, setOutdated] = createSignal(false);
  const ownRange = () => dashboard()?.range ?? USUAL_RANGE;
  const view = createView(ownRange);
  const [known, setKnown] = createSignal<ReadonlyMap<string, Known>>(new Map());
  const board: Board = { name: props.name, live, view, states: createStates(), known: (feed) => known().get(feed) };
  let keys!: HTMLDialogElement;

  async function load(): Promise<void> {
    try {
      const [one, all] = await Promise.all([readDashboard(props.name), listDashboards()]);
      document.title = `${one.title} · Tidewire`;
      setProblem(undefined);
      setNames(all);
      // The same panels stay where they are: made anew they would lose what they have.
      if (JSON.stringify(one) !== JSON.stringify(dashboard())) setDashboard(one);
    } catch (error) {
      // No answer at all is shown by the header, and mended by the next connection.
      if (error instanceof Problem) setProblem(error);
      else if (!(error instanceof TypeError)) throw error;
    }
  }

  /** How old what a feed holds is, only the server knows. */
  async function ask(): Promise<void> {
    try {
      const now = Date.now();
      const entries = [...(await listSourced())].map(([name, { feed, stream }]): [string, Known] => {
        const changedAt = feed.silent_ms == null ? undefined : now - feed.silent_ms;
        return [name, { changedAt, ended: stream?.ended ?? false }];
      });
      setKnown(new Map(entries));
    } catch {
      // The header says that there is no answer; the next connection asks again.
    }
  }

  void load();
  void ask();
  let opened = 0;
  createEffect(
    on(
      () => live.connection().kind,
      (kind) => {
        if (kind !== "open") return;
        opened += 1;
        // A server that was away may be another one now: with other panels, or another page.
        if (opened > 1 || dashboard() === undefined) void load();
        if (opened > 1) void ask();
        if (opened > 1) void isOutdated().then(setOutdated);
      },
      { defer: true },
    ),
  );

  // Its configuration may change while the server runs. The browser keeps the answer and its ETag,
  // so that what has not changed costs an empty answer.
  const again = setInterval(() => {
    if (!document.hidden && live.connection().kind === "open") void load();
  }, LOOK_AGAIN);
  onCleanup(() => clearInterval(again));

  const shortcuts = shortcutsOf(view, ownRange, () => keys.showModal());
  followKeys(shortcuts);

  return (
    <div class="page" data-kiosk={view.address().kiosk}>
      <Header dashboards={names()} current={props.name}>
        <Show when={outdated()}>
          <button type="button" class="button" onClick={() => location.reload()}>
            A new version is here: reload
          </button>
        </Show>
        <Controls board={board} ranges={rangesOf(ownRange())} onKeys={() => keys.showModal()} />
        <ConnectionLine board={board} />
      </Header>
      <Switch>
        <Match when={problem()}>{(it) => <ProblemPage name={props.name} problem={it()} />}</Match>
        <Match when={dashboard()}>{(it) => <Panels dashboard={it()} board={board} />}</Match>
      </Switch>
      <KeysDialog
        shortcuts={shortcuts}
        ref={(dialog) => {
          keys = dialog;
        }}
      />
    </div>
  );
}

function shortcutsOf(view: View, ownRange: () => number, showKeys: () => void): readonly Shortcut[] {
  const paused = () => view.pausedAt() !== undefined;
  return [
    { key: " ", label: "Space", does: "pauses the picture, and goes on", run: () => view.pause(!paused()) },
    ...RANGES.map((range, at) => ({
      key: String(at + 1),
      does: `shows the last ${["5 minutes", "15 minutes", "hour"][at]}`,
      run: () => view.go({ range, zoom: undefined }),
    })),
    {
      key: "0",
      does: "goes back to the dashboard's own range",
      run: () => view.go({ range: undefined, zoom: undefined }),
    },
    { key: "+", does: "zooms into the newest half", run: () => zoomBy(view, ownRange, 0.5) },
    { key: "-", does: "zooms out", run: () => zoomBy(view, ownRange, 2) },
    { key: "ArrowLeft", label: "←", does: "goes back in time", run: () => move(view, -0.5) },
    { key: "ArrowRight", label: "→", does: "goes forward in time", run: () => move(view, 0.5) },
    {
      key: "Escape",
      label: "Esc",
      does: "goes back from full screen or a zoom",
      run: () => view.go(view.address().panel === undefined ? { zoom: undefined } : { panel: undefined }),
    },
    {
      key: "k",
      does: "leaves the header out, for a screen on a wall",
      run: () => view.go({ kiosk: !view.address().kiosk }),
    },
    { key: "t", does: "changes the theme", run: nextTheme },
    { key: "?", does: "shows these keys", run: showKeys },
  ];
}

/** The part of time in sight: where nothing is zoomed, the range up to now. */
function sight(view: View): readonly [number, number] {
  const now = Date.now();
  return view.address().zoom ?? [now - view.range(), now];
}

function zoomBy(view: View, ownRange: () => number, factor: number): void {
  const [from, to] = sight(view);
  const span = (to - from) * factor;
  if (span < 1000) return;
  const whole = view.address().range ?? ownRange();
  view.go({ zoom: span >= whole ? undefined : [Math.round(to - span), Math.round(to)] });
}

function move(view: View, by: number): void {
  const [from, to] = sight(view);
  const way = Math.round((to - from) * by);
  view.go({ zoom: to + way >= Date.now() && by > 0 ? undefined : [Math.round(from + way), Math.round(to + way)] });
}

function Panels(props: { dashboard: DashboardConfig; board: Board }) {
  const panels = createMemo(() => namePanels(props.dashboard.panels));
  const opened = () => props.board.view.address().panel;
  const isUnknown = () => opened() !== undefined && !panels().some((panel) => panel.id === opened());
  /** Each stat has a line of its own colour. */
  const slotOf = (panel: NamedPanel) =>
    panels()
      .filter(({ type }) => type === "stat")
      .indexOf(panel);
  createEffect(() => {
    // An address of a panel that is gone would show an empty page.
    if (isUnknown()) props.board.view.go({ panel: undefined });
  });

  return (
    <main class="grid" data-open={opened() !== undefined}>
      <h1 class="unseen">{props.dashboard.title}</h1>
      <For each={panels()}>{(panel) => <Panel panel={panel} board={props.board} slot={slotOf(panel)} />}</For>
    </main>
  );
}

function Panel(props: { panel: NamedPanel; board: Board; slot: number }) {
  const { panel, board } = props;
  switch (panel.type) {
    case "line":
    case "area":
      return <ChartPanel panel={panel} board={board} />;
    case "bar":
      return <BarPanel panel={panel} board={board} />;
    case "stat":
      return <StatPanel panel={panel} board={board} slot={props.slot} />;
    case "gauge":
      return <GaugePanel panel={panel} board={board} />;
    case "table":
      return <TablePanel panel={panel} board={board} />;
    default:
      return <UnknownPanel panel={panel} board={board} />;
  }
}

/** A page that is older than the server: its rows can be shown all the same. */
function UnknownPanel(props: { panel: NamedPanel; board: Board }) {
  return (
    <TablePanel panel={{ ...props.panel, type: "table", columns: [], bars: [], sort: null }} board={props.board} />
  );
}

function ProblemPage(props: { name: string; problem: Problem }) {
  return (
    <main class="plain">
      <Show
        when={props.problem.status === 404}
        fallback={
          <>
            <h1>This dashboard cannot be shown</h1>
            <p>{props.problem.message}</p>
          </>
        }
      >
        <h1>There is no dashboard “{props.name}”</h1>
        <p>
          It may have been renamed. <a href="/">See all dashboards</a> of this server, or define it under{" "}
          <code>dashboards:</code> in the configuration.
        </p>
      </Show>
    </main>
  );
}
