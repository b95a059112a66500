import type { FeedChange } from "@tidewire/client";
import type { PanelConfig } from "../api.ts";
import type { Rows } from "../panel/rows.ts";
import { type Fault, missingKey, unknownColumn } from "../panel/state.ts";
import { isTime, isWhole } from "../value.ts";
import { Buckets } from "./buckets.ts";

/** A panel's numbers over x, and what its columns say of them. */
export interface Reading {
  readonly buckets: Buckets;
  /** Whether x is a time. */
  readonly time: boolean;
  /** Whether the numbers are whole. */
  readonly whole: boolean;
}

/** Reads the rows of a panel that shows one number. */
export class Reader {
  readonly #panel: PanelConfig;
  #columns: unknown;
  #reading: Reading | undefined;

  constructor(panel: PanelConfig) {
    this.#panel = panel;
  }

  get reading(): Reading | undefined {
    return this.#reading;
  }

  /** Takes a change; returns why the panel cannot be read, if it cannot. */
  take(rows: Rows, change: FeedChange): Fault | undefined {
    const { x, y, combine, feed, type } = this.#panel;
    const [column = null] = y;
    if (column === null && combine !== "count") return missingKey("y", type);
    if (rows.columns !== this.#columns) {
      this.#columns = rows.columns;
      this.#reading = undefined;
      const fault = unknownColumn([x, column], feed, rows.columns);
      if (fault !== undefined) return fault;
      const at = (name: string | null) => (name === null ? undefined : rows.indexOf(name));
      const typeOf = (name: string | null) => rows.columns[at(name) ?? -1]?.type ?? "";
      this.#reading = {
        buckets: new Buckets({ x: at(x), y: at(column) }, combine),
        time: isTime(typeOf(x)),
        whole: combine === "count" || (combine !== "mean" && isWhole(typeOf(column))),
      };
    }
    if (this.#reading === undefined) return unknownColumn([x, column], feed, rows.columns);
    this.#reading.buckets.apply(change, rows);
    return undefined;
  }
}
