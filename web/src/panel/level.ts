import type { PanelConfig } from "../api.ts";
import { withoutZeros } from "../format.ts";

/** How a value stands to its thresholds. */
export type Level = "ok" | "warn" | "bad";

type Thresholds = Pick<PanelConfig, "warn" | "bad">;

/** Whether low values are the bad ones. */
export const lowIsBad = ({ warn, bad }: Thresholds): boolean => warn !== null && bad !== null && bad < warn;

/** The level of a value. Reaching a threshold counts as passing it. */
export function levelOf(value: number | undefined, thresholds: Thresholds): Level {
  const { warn, bad } = thresholds;
  if (value === undefined) return "ok";
  const passes = (limit: number | null) => limit !== null && (lowIsBad(thresholds) ? value <= limit : value >= limit);
  return passes(bad) ? "bad" : passes(warn) ? "warn" : "ok";
}

/** The threshold that a value has passed, in words: `over the limit of 0.4`. */
export function limitPassed(value: number | undefined, thresholds: Thresholds, write: (v: number) => string): string {
  const level = levelOf(value, thresholds);
  const limit = level === "ok" ? null : thresholds[level];
  if (limit === null) return "";
  const where = value === limit ? "at" : lowIsBad(thresholds) ? "under" : "over";
  return `${where} the limit of ${withoutZeros([write(limit)])[0]}`;
}
