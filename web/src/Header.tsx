import { For, type JSX } from "solid-js";
import type { DashboardName } from "./api.ts";
import { headline } from "./headline.ts";
import type { Live } from "./live.ts";

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
              {dashboard.title}
            </a>
          )}
        </For>
      </nav>
      {props.children}
    </header>
  );
}

/** `Live · 38 updates/s`, or how the connection is coming back. */
export function ConnectionLine(props: { live: Live }) {
  const line = () => headline(props.live.connection(), props.live.now(), props.live.rate());
  return (
    <div class="headline" data-tone={line().tone}>
      <i />
      {/* Only the word is announced: the rest changes every second. */}
      <b role="status">{line().word}</b>
      <span>{line().detail}</span>
      <button type="button" hidden={!line().canRetry} onClick={() => props.live.client.connect()}>
        try now
      </button>
    </div>
  );
}
