import { spacedSpan } from "../address.ts";
import type { PanelConfig } from "../api.ts";
import { levelOf, limitPassed, lowIsBad } from "../panel/level.ts";

/** How a value has changed against an earlier one, or how far it is beyond a limit. */
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

/** How far a value is beyond the threshold that it has passed: `▲ 0.11` `over the limit of 0.4`. */
export function overLimit(now: number | undefined, panel: Asked, write: (value: number) => string): Change | undefined {
  const level = levelOf(now, panel);
  const limit = level === "ok" ? null : panel[level];
  if (now === undefined || limit === null) return undefined;
  const size = write(Math.abs(now - limit));
  const text = /[1-9]/.test(size) ? `${now > limit ? "▲" : "▼"} ${size}` : "";
  return { text, against: limitPassed(now, panel, write), tone: "bad" };
}

const writePercent = (value: number): string =>
  value >= 1000 ? Math.round(Math.min(value, 99_999)).toLocaleString("en") : value.toFixed(1);
