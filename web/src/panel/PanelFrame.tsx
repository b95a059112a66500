import { createEffect, createMemo, For, type JSX, Match, on, onCleanup, Show, Switch } from "solid-js";
import type { Board } from "../board.ts";
import { writeSpan, writeTime } from "../format.ts";
import { EmptyNote } from "./EmptyNote.tsx";
import { FullScreen } from "./FullScreen.tsx";
import type { NamedPanel } from "./layout.ts";
import { type Fault, panelState } from "./state.ts";
import type { FeedSignals } from "./useFeed.ts";

/** The box around a panel: its name, one quiet note beside it, and what it says when it cannot show. */
export function PanelFrame(props: {
  panel: NamedPanel;
  board: Board;
  feed: FeedSignals;
  fault: Fault | undefined;
  /** The note while all is well: the unit, or the time under the pointer. */
  note: string;
  children: JSX.Element;
}) {
  const { live, view } = props.board;
  const { feed } = props;
  let section!: HTMLElement;
  const state = createMemo(() =>
    panelState(
      {
        status: feed.status(),
        rows: feed.size(),
        lastData: feed.lastData(),
        patience: feed.patience(),
        fault: props.fault,
      },
      live.connection(),
      live.now(),
    ),
  );
  const { states } = props.board;
  createEffect(
    on(
      () => state().kind,
      (kind) => states.say(props.panel.id, kind),
    ),
  );
  onCleanup(() => states.say(props.panel.id, undefined));
  const error = () => {
    const now = state();
    return now.kind === "error" ? now : undefined;
  };
  const note = () => {
    const now = state();
    const at = feed.lastData();
    switch (now.kind) {
      case "reconnecting":
        return "reconnecting";
      case "stale":
        return at === undefined ? "" : `last data ${writeTime(at, live.now())}`;
      case "slow":
        return `no change for ${writeSpan(now.silence)}`;
      default:
        return now.kind === "live" ? props.note : "";
    }
  };
  const tone = () => (["reconnecting", "stale", "slow"].includes(state().kind) ? "warn" : undefined);
  const opened = () => view.address().panel;
  const isOpen = () => opened() === props.panel.id;

  return (
    <section
      class="panel"
      aria-label={props.panel.title}
      aria-busy={state().kind === "loading"}
      data-state={state().kind}
      data-type={props.panel.type}
      data-wide={props.panel.span > 6}
      data-phone={props.panel.phone}
      data-tablet={props.panel.tablet}
      data-open={isOpen()}
      hidden={opened() !== undefined && !isOpen()}
      ref={(element) => {
        section = element;
        element.style.setProperty("--span", String(props.panel.span));
        feed.watch(element);
      }}
    >
      <header>
        <h2 title={props.panel.title}>
          <button
            type="button"
            aria-expanded={isOpen()}
            title={isOpen() ? "Back to the dashboard" : "Full screen, query and export"}
            onClick={() => view.go({ panel: isOpen() ? undefined : props.panel.id })}
          >
            <bdi>{props.panel.title}</bdi>
          </button>
        </h2>
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
          <EmptyNote feed={props.panel.feed} filtered={(feed.rows()?.inFeed ?? 0) > 0} />
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
      <Show when={isOpen()}>
        <FullScreen panel={props.panel} board={props.board} feed={feed} element={() => section} />
      </Show>
    </section>
  );
}

/** Names stand between backticks, as in the server's messages. */
function Worded(props: { text: string }) {
  return <For each={props.text.split("`")}>{(part, at) => (at() % 2 === 1 ? <code>{part}</code> : part)}</For>;
}
