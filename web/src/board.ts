import { createSignal } from "solid-js";
import type { Live } from "./live.ts";
import type { PanelState } from "./panel/state.ts";
import type { View } from "./view.ts";

/** What all panels of a dashboard share. */
export interface Board {
  /** The dashboard's name. */
  readonly name: string;
  readonly live: Live;
  readonly view: View;
  readonly states: States;
  /** What the server said of a feed when the page last asked. */
  readonly known: (feed: string) => Known | undefined;
}

/** A feed as it stood before this page watched it. */
export interface Known {
  /** When it last changed, in milliseconds since 1970 by the clock of the browser. */
  readonly changedAt: number | undefined;
  /** Whether its stream's source will yield nothing more: then silence is no fault. */
  readonly ended: boolean;
}

/** How the panels stand, for the line that sums them up. */
export interface States {
  readonly say: (panel: string, kind: PanelState["kind"] | undefined) => void;
  /** How many panels there are, and how many of a kind. */
  readonly count: (kind?: PanelState["kind"]) => number;
}

export function createStates(): States {
  const [states, setStates] = createSignal<ReadonlyMap<string, PanelState["kind"]>>(new Map());
  return {
    say: (panel, kind) =>
      setStates((before) => {
        const next = new Map(before);
        if (kind === undefined) next.delete(panel);
        else next.set(panel, kind);
        return next;
      }),
    count: (kind) => [...states().values()].filter((one) => kind === undefined || one === kind).length,
  };
}
