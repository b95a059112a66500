import { onCleanup } from "solid-js";

/** A key, what it does, and how the list of keys says so. */
export interface Shortcut {
  /** As `KeyboardEvent.key` names it. */
  readonly key: string;
  /** How the list names it, where that is another name; shortcuts of one name share a line. */
  readonly label?: string;
  readonly does: string;
  readonly run: () => void;
}

/** Listens for the keys of a page. */
export function followKeys(shortcuts: readonly Shortcut[]): void {
  const pressed = (event: KeyboardEvent) => {
    // With these the key is the browser's; and what is typed into a field is text.
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target instanceof Element ? event.target : undefined;
    if (target?.closest("input, textarea, select, dialog")) return;
    // On a button the space bar presses it.
    if (event.key === " " && target?.closest("button, a, summary")) return;
    const shortcut = shortcuts.find(({ key }) => key === event.key);
    if (shortcut === undefined) return;
    event.preventDefault();
    shortcut.run();
  };
  addEventListener("keydown", pressed);
  onCleanup(() => removeEventListener("keydown", pressed));
}
