import { createSignal } from "solid-js";

/** Light and dark follow the system unless one of them is chosen. */
export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const KEPT = "tidewire.theme";

const kept = (): Theme => {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEPT)) ?? "system";
  } catch {
    // A browser may refuse its storage.
    return "system";
  }
};

const [theme, setTheme] = createSignal<Theme>(kept());
const listeners = new Set<() => void>();

export { theme };

/** Goes on to the next of system, light and dark, and remembers it. */
export function nextTheme(): void {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length] ?? "system";
  setTheme(next);
  try {
    localStorage.setItem(KEPT, next);
  } catch {
    // It then lasts as long as the page.
  }
  applyTheme();
}

/** Puts the theme on the page. */
export function applyTheme(): void {
  if (theme() === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
  for (const listener of listeners) listener();
}

/** Calls `listener` when another theme is chosen. */
export function onTheme(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Whether the page is dark now. */
export const isDark = (): boolean =>
  theme() === "dark" || (theme() === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
