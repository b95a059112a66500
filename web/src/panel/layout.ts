import type { PanelConfig } from "../api.ts";

/** A panel, its name in the address, and its place on smaller screens. */
export interface NamedPanel extends PanelConfig {
  readonly id: string;
  /** How many of two columns it takes on a phone, and on a tablet. */
  readonly phone: 1 | 2;
  readonly tablet: 1 | 2;
}

/**
 * Names the panels: by their titles, so that an address outlives a change of their order; the
 * second of a title gets its place. A panel that is alone on its page fills the row, whatever
 * its width beside others would be.
 */
export function namePanels(panels: readonly PanelConfig[]): readonly NamedPanel[] {
  const taken = new Set<string>();
  const phone = inTwoColumns(panels.map(({ span }) => span <= NARROW));
  const tablet = inTwoColumns(panels.map(({ span }) => span <= HALF));
  return panels.map((panel, at) => {
    const id = taken.has(panel.title) ? `${panel.title} ~${at + 1}` : panel.title;
    taken.add(id);
    const span = panels.length === 1 ? COLUMNS : panel.span;
    return { ...panel, id, span, phone: phone[at] ?? 2, tablet: tablet[at] ?? 2 };
  });
}

const COLUMNS = 12;
const HALF = 6;
const NARROW = 3;

/** Puts panels in two columns; one that would stand beside a hole takes both. */
function inTwoColumns(narrow: readonly boolean[]): (1 | 2)[] {
  const taken: (1 | 2)[] = [];
  for (let at = 0; at < narrow.length; at++) {
    if (narrow[at] && narrow[at + 1]) {
      taken.push(1, 1);
      at += 1;
    } else taken.push(2);
  }
  return taken;
}
