import { createSignal, Show } from "solid-js";
import { listFeeds } from "../api.ts";
import type { Board } from "../board.ts";
import { csvOf } from "../export/csv.ts";
import { pngOf } from "../export/png.ts";
import { save } from "../export/save.ts";
import type { NamedPanel } from "./layout.ts";
import type { FeedSignals } from "./useFeed.ts";

/** What a panel that fills the page shows besides: its query, and ways to take it along. */
export function FullScreen(props: { panel: NamedPanel; board: Board; feed: FeedSignals; element: () => HTMLElement }) {
  const { view } = props.board;
  const [sql, setSql] = createSignal<string>();
  const [said, setSaid] = createSignal("");
  listFeeds().then(
    (feeds) => setSql(feeds.find((feed) => feed.name === props.panel.feed)?.sql),
    () => setSaid("The query could not be read: the server does not answer."),
  );

  function saveCsv(): void {
    const rows = props.feed.rows();
    if (rows === undefined) {
      setSaid("There are no rows yet.");
      return;
    }
    save(new Blob([csvOf(props.panel, rows, view)], { type: "text/csv" }), `${props.panel.title}.csv`);
    setSaid("");
  }

  async function savePng(): Promise<void> {
    try {
      save(await pngOf(props.element()), `${props.panel.title}.png`);
      setSaid("");
    } catch {
      setSaid("This browser does not let a page draw itself. Take a screenshot instead.");
    }
  }

  return (
    <footer class="full">
      <Show when={sql()}>
        {(text) => (
          <details open>
            <summary>
              Query of the feed <code>{props.panel.feed}</code>
            </summary>
            <pre tabindex="0">
              <code>{text().trim()}</code>
            </pre>
          </details>
        )}
      </Show>
      <p>
        <button type="button" class="button" onClick={saveCsv}>
          Save as CSV
        </button>
        <button type="button" class="button" onClick={() => void savePng()}>
          Save as PNG
        </button>
        <button type="button" class="button" onClick={() => view.go({ panel: undefined })}>
          Back to the dashboard <kbd>Esc</kbd>
        </button>
        <span role="status">{said()}</span>
      </p>
    </footer>
  );
}
