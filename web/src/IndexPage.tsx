import { createSignal, For, Match, Switch } from "solid-js";
import { type DashboardName, listDashboards } from "./api.ts";
import { Header } from "./Header.tsx";

const EXAMPLE = `dashboards:
  ops:
    title: Operations
    panels:
      - { title: Load, feed: load_10s, type: line,
          x: window_start, y: value, series: metric, unit: "%" }`;

/** `/`: the dashboards of this server, and what to do if there are none. */
export function IndexPage() {
  const [dashboards, setDashboards] = createSignal<readonly DashboardName[]>();
  const [failure, setFailure] = createSignal<string>();
  listDashboards().then(setDashboards, (error: unknown) =>
    setFailure(error instanceof TypeError ? "The server does not answer. Is it running?" : String(error)),
  );

  return (
    <>
      <Header dashboards={[]} />
      <main class="plain">
        <Switch>
          <Match when={failure()}>
            {(it) => (
              <div role="alert">
                <h1>The dashboards could not be read</h1>
                <p>{it()}</p>
                <p>
                  <a href="/">Try again</a>
                </p>
              </div>
            )}
          </Match>
          <Match when={dashboards()?.length === 0}>
            <h1>No dashboards yet</h1>
            <p>A dashboard shows feeds as panels. Add one to the configuration and start the server again:</p>
            <pre>
              <code>{EXAMPLE}</code>
            </pre>
            <p>
              To see one with nothing to set up, run <code>tidewire demo</code>.
            </p>
          </Match>
          <Match when={dashboards()}>
            {(list) => (
              <>
                <h1>Dashboards</h1>
                <ul>
                  <For each={list()}>
                    {(dashboard) => (
                      <li>
                        <a href={`/dashboard/${encodeURIComponent(dashboard.name)}`}>
                          {dashboard.title}
                          <small>{dashboard.name === dashboard.title ? "" : dashboard.name}</small>
                        </a>
                      </li>
                    )}
                  </For>
                </ul>
              </>
            )}
          </Match>
        </Switch>
      </main>
    </>
  );
}
