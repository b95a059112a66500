import { For, type JSX } from "solid-js";
import { spacedSpan } from "./address.ts";
import type { DashboardName } from "./api.ts";
import type { Board } from "./board.ts";
import { headline } from "./headline.ts";
import { nextTheme, theme } from "./theme.ts";

/** The mark, the dashboards, and at the right what the page says of itself. */
export function Header(props: { dashboards: readonly DashboardName[]; current?: string; children?: JSX.Element }) {
  return (
    <header class="header">
      <a class="mark" href="/">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M2 8c3.5 0 3.5-4 7-4s3.5 4 7 4 3.5-4 6-4" />
          <path d="M2 14c3.5 0 3.5-4 7-4s3.5 4 7 4 3.5-4 6-4" />
          <path d="M2 20c3.5 0 3.5-4 7-4s3.5 4 7 4 3.5-4 6-4" />
        </svg>
        Tidewire
      </a>
      <nav class="nav" aria-label="Dashboards">
        <For each={props.dashboards}>
          {(dashboard) => (
            <a
              href={`/dashboard/${encodeURIComponent(dashboard.name)}`}
              aria-current={dashboard.name === props.current ? "page" : undefined}
            >
              <bdi>{dashboard.title}</bdi>
            </a>
          )}
        </For>
      </nav>
      <div class="tools">{props.children}</div>
      <ThemeButton />
    </header>
  );
}

const ICONS = {
  system: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  light:
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M5 19l1.4-1.4M17.6 6.4 19 5",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  pause: "M8 5v14M16 5v14",
  play: "M7 4.5v15l12-7.5z",
  keys: "M9 9.2a3 3 0 1 1 4.2 2.7c-.8.4-1.2 1-1.2 1.9v.4M12 17.6v.2",
} as const;

function Icon(props: { name: keyof typeof ICONS }) {
  return (
    <svg class="icon" data-icon={props.name} viewBox="0 0 24 24" aria-hidden="true">
      <path d={ICONS[props.name]} />
    </svg>
  );
}

/** Changes between the system's theme, light and dark. */
function ThemeButton() {
  const label = () => `Theme: ${theme()}`;
  return (
    <button type="button" class="tool theme" aria-label={label()} title={`${label()} (T)`} onClick={nextTheme}>
      <Icon name={theme()} />
    </button>
  );
}

const MINUTE = 60_000;
export const RANGES: readonly number[] = [5 * MINUTE, 15 * MINUTE, 60 * MINUTE];

/** The ranges to choose from: the usual ones and the dashboard's own. */
export const rangesOf = (own: number): readonly number[] =>
  RANGES.includes(own) ? RANGES : [...RANGES, own].sort((a, b) => a - b);

/** Range, pause, and the list of keys. */
export function Controls(props: { board: Board; ranges: readonly number[]; onKeys: () => void }) {
  const { view } = props.board;
  const paused = () => view.pausedAt() !== undefined;
  const zoomed = () => view.address().zoom !== undefined;
  return (
    <>
      <fieldset class="ranges">
        <legend class="unseen">Range of time</legend>
        <For each={props.ranges}>
          {(range) => (
            <button
              type="button"
              aria-pressed={!zoomed() && view.range() === range}
              onClick={() => view.go({ range, zoom: undefined })}
            >
              {spacedSpan(range)}
            </button>
          )}
        </For>
        <button type="button" hidden={!zoomed()} aria-pressed="true" onClick={() => view.go({ zoom: undefined })}>
          zoomed ×
        </button>
      </fieldset>
      <button
        type="button"
        class="tool"
        aria-label={paused() ? "Go on" : "Pause"}
        title={paused() ? "Go on (space bar)" : "Pause (space bar)"}
        onClick={() => view.pause(!paused())}
      >
        <Icon name={paused() ? "play" : "pause"} />
      </button>
      <button type="button" class="tool keys" aria-label="Keys" title="Keys (?)" onClick={() => props.onKeys()}>
        <Icon name="keys" />
      </button>
    </>
  );
}

/** `Live · 4 ms · 38 updates/s`, or how the connection is coming back. */
export function ConnectionLine(props: { board: Board }) {
  const { live, view, states } = props.board;
  let changesBefore = 0;
  let pausedBefore: number | undefined;
  const paused = () => {
    const at = view.pausedAt();
    if (at !== pausedBefore) changesBefore = live.client.changesArrived;
    pausedBefore = at;
    return at === undefined ? undefined : { at, changes: live.client.changesArrived - changesBefore };
  };
  const line = () =>
    headline(live.connection(), Math.max(live.now(), view.pausedAt() ?? 0), {
      rate: live.rate(),
      latency: live.latency(),
      paused: paused(),
      panels: states.count(),
      slow: states.count("slow"),
      faulty: states.count("error"),
    });
  const act = () => (line().action === "go on" ? view.pause(false) : live.client.connect());
  return (
    <div class="headline" data-tone={line().tone}>
      <i />
      {/* Only the word is announced: the rest changes every second. */}
      <b role="status">{line().word}</b>
      <span>{line().detail}</span>
      <button type="button" hidden={line().action === undefined} onClick={act}>
        {line().action}
      </button>
    </div>
  );
}
