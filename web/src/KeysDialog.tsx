import { For } from "solid-js";
import type { Shortcut } from "./keys.ts";

/** The list of keys. */
export function KeysDialog(props: { shortcuts: readonly Shortcut[]; ref: (dialog: HTMLDialogElement) => void }) {
  let dialog: HTMLDialogElement | undefined;
  return (
    <dialog
      class="keys-list"
      aria-labelledby="keys-title"
      ref={(element) => {
        dialog = element;
        props.ref(element);
      }}
    >
      <h2 id="keys-title">Keys</h2>
      <dl>
        <For each={props.shortcuts}>
          {({ key, label, does }) => (
            <div>
              <dt>
                <kbd>{label ?? key.toUpperCase()}</kbd>
              </dt>
              <dd>{does}</dd>
            </div>
          )}
        </For>
        <div>
          <dt>
            <kbd>Drag</kbd>
          </dt>
          <dd>zooms into a chart; a double click goes back</dd>
        </div>
      </dl>
      <button type="button" class="button" onClick={() => dialog?.close()}>
        Close
      </button>
    </dialog>
  );
}
