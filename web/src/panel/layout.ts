import type { PanelConfig } from "../api.ts";

/** A panel that is alone on its page fills the row, whatever its width beside others would be. */
export const fillRow = (panels: readonly PanelConfig[]): readonly PanelConfig[] =>
  panels.length === 1 ? panels.map((panel) => ({ ...panel, span: 12 })) : panels;
