import { createSignal, Match, Switch } from "solid-js";
import { readStreamOf, type StreamInfo } from "../api.ts";
import { firstEvent } from "./firstEvent.ts";

/**
 * What a panel without rows says: what would fill it, and the command that sends a first
 * event. `filtered`: the feed has rows, but none of those that the panel shows.
 */
export function EmptyNote(props: { feed: string; filtered: boolean }) {
  const [stream, setStream] = createSignal<StreamInfo>();
  const [gone, setGone] = createSignal(false);
  // Without an answer the panel says less; the header says that there is none.
  readStreamOf(props.feed).then(
    (found) => {
      setStream(found?.stream);
      setGone(found?.feed.silent_ms != null);
    },
    () => {},
  );
  const feed = () => <code>{props.feed}</code>;

  return (
    <div class="said">
      <p>
        <strong>{props.filtered ? "No row to show." : gone() ? "No rows any more." : "No rows yet."}</strong>
      </p>
      <Switch fallback={<p>The feed {feed()} fills as events arrive.</p>}>
        <Match when={props.filtered}>
          <p>
            The feed {feed()} has rows, but none that this panel's <code>only:</code> names.
          </p>
        </Match>
        <Match when={stream()?.failure}>
          {(why) => (
            <p>
              The stream <code>{stream()?.name}</code> cannot be read: {why()}.
            </p>
          )}
        </Match>
        <Match when={gone()}>
          <p>
            What the feed {feed()} held is older than its <code>keep:</code>. It fills again as events arrive.
          </p>
        </Match>
        <Match when={stream()?.writable && stream()}>
          {(it) => (
            <>
              <p>
                The feed {feed()} fills as events arrive in the stream <code>{it().name}</code>. Send one:
              </p>
              <p class="command">
                <code>{firstEvent(it(), location.origin)}</code>
              </p>
            </>
          )}
        </Match>
        <Match when={stream()}>
          {(it) => (
            <p>
              The feed {feed()} fills as the stream <code>{it().name}</code> reads its source.
            </p>
          )}
        </Match>
      </Switch>
    </div>
  );
}
