import { createSignal, onCleanup } from "solid-js";
import { type Address, readAddress, writeAddress } from "./address.ts";

/** What of the data a dashboard shows: the same for all its panels, and kept in the address. */
export interface View {
  readonly address: () => Address;
  /** The range of time that is shown, in milliseconds, unless zoomed. */
  readonly range: () => number;
  /** Changes a part of the view; the browser's own way back undoes it. */
  readonly go: (part: Partial<Address>) => void;
  /** Since when the picture waits, in milliseconds since 1970; `undefined` while it goes on. */
  readonly pausedAt: () => number | undefined;
  readonly pause: (paused: boolean) => void;
}

/** @param usual the range unless the address names one. */
export function createView(usual: () => number): View {
  const [address, setAddress] = createSignal(readAddress(location.search));
  const [pausedAt, setPausedAt] = createSignal<number>();
  const follow = () => setAddress(readAddress(location.search));
  addEventListener("popstate", follow);
  onCleanup(() => removeEventListener("popstate", follow));

  return {
    address,
    range: () => address().range ?? usual(),
    go(part) {
      const next = { ...address(), ...part };
      const search = writeAddress(location.search, next);
      if (search !== location.search) history.pushState(null, "", location.pathname + search);
      setAddress(next);
    },
    pausedAt,
    pause: (paused) => setPausedAt(paused ? Date.now() : undefined),
  };
}
