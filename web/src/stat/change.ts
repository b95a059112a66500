import { spacedSpan } from "../address.ts";
import type { PanelConfig } from "../api.ts";
import { lowIsBad } from "../panel/level.ts";

/** How a value has changed against an earlier one. */
export interface Change {
  /** `▲ 3.1 %` */
  readonly text: string;
  /** `against 5 min ago` */
  readonly against: string;
  /** Whether the thresholds call the direction good or bad. */
  readonly tone: "ok" | "bad" | undefined;
}

type Asked = Pick<PanelConfig, "unit" | "compare" | "warn" | "bad">;

/**
 * In percent of the earlier value; what is itself in percent, or comes from zero, as a
 * difference.
 */
export function changeOf(now: number, before: number, panel: Asked, write: (value: number) => string): Change {
  const difference = now - before;
  const share = before === 0 || panel.unit === "%" ? undefined : (difference / Math.abs(before)) * 100;
  const amount = Math.abs(share ?? difference);
  const size = share === undefined ? write(amount) : `${writePercent(amount)} %`;
  const still = !/[1-9]/.test(size);
  const arrow = still ? "=" : difference > 0 ? "▲" : "▼";
  const judged = panel.warn !== null || panel.bad !== null;
  const worse = difference > 0 !== lowIsBad(panel);
  return {
    text: still ? "= unchanged" : `${arrow} ${size}`,
    against: `against ${spacedSpan(panel.compare ?? 0)} ago`,
    tone: still || !judged ? undefined : worse ? "bad" : "ok",
  };
}

const writePercent = (value: number): string =>
  value >= 1000 ? Math.round(Math.min(value, 99_999)).toLocaleString("en") : value.toFixed(1);
