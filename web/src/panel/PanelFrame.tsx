import { createMemo, For, type JSX, Match, Show, Switch } from "solid-js";
import type { PanelConfig } from "../api.ts";
import { writeTime } from "../format.ts";
import type { Live } from "../live.ts";
import { EmptyNote } from "./EmptyNote.tsx";
import { type Fault, panelState } from "./state.ts";
import type { FeedSignals } from "./useFeed.ts";

/** The box around a panel: its name, one quiet note beside it, and what it says when it cannot show. */
export function PanelFrame(props: {
  panel: PanelConfig;
  live: Live;
  feed: FeedSignals;
  fault: Fault | undefined;
  /** The note while all is well: the unit, or the time under the pointer. */
  note: string;
  children: JSX.Element;
}) {
  const state = createMemo(() =>
    panelState(props.feed.status(), props.feed.rows(), props.fault, props.live.connection(), props.live.now()),
  );
  const error = () => {
    const now = state();
    return now.kind === "error" ? now : undefined;
  };
  const note = () => {
    const at = props.feed.lastData();
    if (state().kind === "reconnecting") return "reconnecting";
    if (state().kind === "stale" && at !== undefined) return `last data ${writeTime(at, props.live.now())}`;
    return state().kind === "live" ? props.note : "";
  };
  const tone = () => {
    const { kind } = state();
    return kind === "reconnecting" || kind === "stale" ? "warn" : undefined;
  };

  return (
    <section
      class="panel"
      aria-label={props.panel.title}
      aria-busy={state().kind === "loading"}
      data-state={state().kind}
      data-width={widthOf(props.panel.span)}
      ref={(element) => element.style.setProperty("--span", String(props.panel.span))}
    >
      <header>
        <h2 title={props.panel.title}>{props.panel.title}</h2>
        <span class="note" data-tone={tone()}>
          {note()}
        </span>
      </header>
      <div class="content">{props.children}</div>
      <Switch>
        <Match when={state().kind === "loading"}>
          <div class="shape">
            <i />
            <i />
            <i />
            <i />
            <i />
          </div>
        </Match>
        <Match when={state().kind === "empty"}>
          <EmptyNote feed={props.panel.feed} />
        </Match>
        <Match when={error()}>
          {(it) => (
            <div class="said" role="alert">
              <p>
                <strong>
                  <Worded text={it().what} />
                </strong>
              </p>
              <Show when={it().remedy}>
                <p>
                  <Worded text={it().remedy} />
                </p>
              </Show>
            </div>
          )}
        </Match>
      </Switch>
    </section>
  );
}

/** Names stand between backticks, as in the server's messages. */
function Worded(props: { text: string }) {
  return <For each={props.text.split("`")}>{(part, at) => (at() % 2 === 1 ? <code>{part}</code> : part)}</For>;
}

/** A narrow screen has no use for twelfths: it asks how wide a panel is meant to be. */
function widthOf(span: number): "narrow" | "half" | "wide" {
  if (span <= 3) return "narrow";
  return span <= 6 ? "half" : "wide";
}
