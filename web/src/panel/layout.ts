import type { PanelConfig } from "../api.ts";

/** A panel and its name in the address. */
export interface NamedPanel extends PanelConfig {
  readonly id: string;
}

/**
 * Names the panels: by their titles, so that an address outlives a change of their order; the
 * second of a title gets its place. A panel that is alone on its page fills the row, whatever
 * its width beside others would be.
 */
export function namePanels(panels: readonly PanelConfig[]): readonly NamedPanel[] {
  const taken = new Set<string>();
  return panels.map((panel, at) => {
    const id = taken.has(panel.title) ? `${panel.title} ~${at + 1}` : panel.title;
    taken.add(id);
    return { ...panel, id, span: panels.length === 1 ? 12 : panel.span };
  });
}
