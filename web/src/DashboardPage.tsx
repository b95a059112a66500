import { createEffect, createSignal, For, Match, on, Show, Switch } from "solid-js";
import {
  type DashboardConfig,
  type DashboardName,
  listDashboards,
  type PanelConfig,
  Problem,
  readDashboard,
} from "./api.ts";
import { LinePanel } from "./chart/LinePanel.tsx";
import { ConnectionLine, Header } from "./Header.tsx";
import { createLive, type Live } from "./live.ts";
import { fillRow } from "./panel/layout.ts";
import { TablePanel } from "./table/TablePanel.tsx";

/** `/dashboard/{name}`: its panels, live. */
export function DashboardPage(props: { name: string }) {
  const live = createLive();
  const [dashboard, setDashboard] = createSignal<DashboardConfig>();
  const [names, setNames] = createSignal<readonly DashboardName[]>([]);
  const [problem, setProblem] = createSignal<Problem>();

  async function load(): Promise<void> {
    try {
      const [one, all] = await Promise.all([readDashboard(props.name), listDashboards()]);
      document.title = `${one.title} · Tidewire`;
      setProblem(undefined);
      setNames(all);
      setDashboard(one);
    } catch (error) {
      // No answer at all is shown by the header, and mended by the next connection.
      if (error instanceof Problem) setProblem(error);
      else if (!(error instanceof TypeError)) throw error;
    }
  }

  void load();
  createEffect(
    on(
      () => live.connection().kind,
      (kind) => {
        if (kind === "open" && dashboard() === undefined) void load();
      },
      { defer: true },
    ),
  );

  return (
    <>
      <Header dashboards={names()} current={props.name}>
        <ConnectionLine live={live} />
      </Header>
      <Switch>
        <Match when={problem()}>{(it) => <ProblemPage name={props.name} problem={it()} />}</Match>
        <Match when={dashboard()}>
          {(it) => (
            <main class="grid">
              <h1 class="unseen">{it().title}</h1>
              <For each={fillRow(it().panels)}>
                {(panel) => <Panel panel={panel} live={live} dashboard={it().name} />}
              </For>
            </main>
          )}
        </Match>
      </Switch>
    </>
  );
}

function Panel(props: { panel: PanelConfig; live: Live; dashboard: string }) {
  return (
    <Show
      when={props.panel.type === "table"}
      fallback={<LinePanel panel={props.panel} live={props.live} dashboard={props.dashboard} />}
    >
      <TablePanel panel={props.panel} live={props.live} dashboard={props.dashboard} />
    </Show>
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
