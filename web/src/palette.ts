import { inFrame } from "./frame.ts";
import { onTheme } from "./theme.ts";

/** How many series have a colour of their own. */
export const SERIES_COLOURS = 8;

/** The tokens that a canvas needs, as colours that it understands. */
export interface Palette {
  readonly series: readonly string[];
  readonly faint: string;
  readonly grid: string;
  readonly warn: string;
  readonly bad: string;
}

let current: Palette | undefined;

/** The tokens as they are now. */
export function palette(): Palette {
  current ??= readTokens();
  return current;
}

/** A token's name for style sheets. */
export const seriesToken = (slot: number): string => `var(--series-${(slot % SERIES_COLOURS) + 1})`;

/** A colour that lets most of its ground through: `rgb(1, 2, 3)` as the browser writes it. */
export const faded = (colour: string, alpha: number): string =>
  colour.replace(/^rgb\((.*)\)$/, (_, parts) => `rgba(${parts}, ${alpha})`);

/** Calls `redraw` in a frame after the page has gone from light to dark or back, and after the font has come. */
export function onLook(redraw: () => void): () => void {
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const changed = () => {
    current = undefined;
    inFrame(redraw);
  };
  scheme.addEventListener("change", changed);
  document.fonts.addEventListener("loadingdone", changed);
  const stop = onTheme(changed);
  return () => {
    scheme.removeEventListener("change", changed);
    document.fonts.removeEventListener("loadingdone", changed);
    stop();
  };
}

/** A custom property keeps the words it was given; only a real property gives the colour they come to. */
function readTokens(): Palette {
  const probe = document.body.appendChild(document.createElement("span"));
  const read = (token: string) => {
    probe.style.color = `var(--${token})`;
    return getComputedStyle(probe).color;
  };
  const tokens = {
    series: Array.from({ length: SERIES_COLOURS }, (_, at) => read(`series-${at + 1}`)),
    faint: read("faint"),
    grid: read("grid"),
    warn: read("warn"),
    bad: read("bad"),
  };
  probe.remove();
  return tokens;
}
