/** How numbers and times are written: short, and of one width while they change. */

/** Writes the numbers of one panel or column. */
export interface NumberFormat {
  /** The unit, with its prefix where it has one: `%`, `MiB/s`. Shown once, not at each number. */
  readonly unit: string;
  write(value: number): string;
}

/** Units of time by what one of the one before is: each a thousand of it. */
const TIMES = ["ns", "µs", "ms", "s"];

const BYTES = /^(B|bytes?)(\/s)?$/i;
const BYTE_PREFIXES = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const MONEY = /^([A-Z]{3}|[€$£¥])$/;

/** Whether a unit is that of bytes, which have prefixes by powers of two. */
export const isBytes = (unit: string | null): boolean => unit !== null && BYTES.test(unit);

/** Above this a number is written with a prefix, above the next with an exponent. */
const GROUPED_BELOW = 1e9;
const PREFIXED_BELOW = 1e15;

/**
 * The format for numbers up to `scale` (the greatest that is shown, without its sign). The
 * digits behind the point follow from the scale and not from each number, so that a number
 * keeps its width while it changes.
 */
export function numberFormat(unit: string | null, scale: number, whole = false): NumberFormat {
  const size = Number.isFinite(scale) ? Math.abs(scale) : 0;
  const bytes = unit === null ? null : BYTES.exec(unit);
  if (bytes !== null) {
    const power = Math.min(BYTE_PREFIXES.length - 1, size < 1 ? 0 : Math.floor(Math.log2(size) / 10));
    const digits = power === 0 ? 0 : places(size / 1024 ** power);
    return { unit: `${BYTE_PREFIXES[power]}B${bytes[2] ?? ""}`, write: (v) => fixed(v / 1024 ** power, digits) };
  }
  const time = TIMES.indexOf(unit === "us" ? "µs" : (unit ?? ""));
  if (time >= 0 && size > 0) {
    const steps = Math.floor(Math.log10(size) / 3 + 1e-9);
    const best = Math.min(TIMES.length - 1, Math.max(0, time + steps));
    const factor = 1000 ** (best - time);
    // What is as long as hours is still written in seconds: groups of digits keep it readable.
    if (factor !== 1) {
      const digits = places(size / factor);
      return { unit: TIMES[best] ?? "", write: (v) => fixed(v / factor, digits) };
    }
  }
  const shown = unit ?? "";
  if (size >= PREFIXED_BELOW)
    return { unit: shown, write: (v) => (v === 0 ? "0" : signed(v.toExponential(2).replace("e+", "e"))) };
  if (size >= GROUPED_BELOW) {
    const [factor, prefix] = size >= 1e12 ? [1e12, "T"] : [1e9, "G"];
    return { unit: shown, write: (v) => `${fixed(v / factor, 2)} ${prefix}` };
  }
  const digits = MONEY.test(shown) ? 2 : whole ? 0 : places(size);
  return { unit: shown, write: (v) => fixed(v, digits) };
}

/** Digits behind the point that give about three that matter. */
function places(size: number): number {
  if (size >= 1000) return 0;
  if (size >= 10) return 1;
  if (size >= 1) return 2;
  if (size === 0) return 0;
  return Math.min(9, 2 - Math.floor(Math.log10(size)));
}

const formats = new Map<number, Intl.NumberFormat>();

function fixed(value: number, digits: number): string {
  let format = formats.get(digits);
  if (format === undefined) {
    format = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    formats.set(digits, format);
  }
  return signed(format.format(value));
}

/** A minus as wide as a digit; and no minus before a zero. */
const signed = (text: string): string => (/^-[0.]+$/.test(text) ? text.slice(1) : text.replaceAll("-", "−"));

/** The labels of an axis without the zeros that all of them end in behind the point. */
export function withoutZeros(labels: readonly string[]): string[] {
  let short = [...labels];
  while (short.length > 0 && short.every((label) => /\.\d*0$/.test(label))) {
    short = short.map((label) => label.slice(0, -1).replace(/\.$/, ""));
  }
  return short;
}

const two = (n: number) => String(n).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `24 Nov` */
export const writeDay = (at: Date): string => `${at.getDate()} ${MONTHS[at.getMonth()]}`;

/** `14:32` */
export const writeMinute = (at: Date): string => `${two(at.getHours())}:${two(at.getMinutes())}`;

/** `14:32:07` */
export const writeSecond = (at: Date): string => `${writeMinute(at)}:${two(at.getSeconds())}`;

/** A time in words of today: the day only where it is another one, the year only where that is. */
export function writeTime(milliseconds: number, now: number): string {
  const at = new Date(milliseconds);
  if (Number.isNaN(at.getTime())) return String(milliseconds);
  const today = new Date(now);
  if (at.toDateString() === today.toDateString()) return writeSecond(at);
  const year = at.getFullYear() === today.getFullYear() ? "" : ` ${at.getFullYear()}`;
  return `${writeDay(at)}${year} ${writeSecond(at)}`;
}

/** `3 s`, `4 min`, `2 h`: a span of time, rounded up so that a countdown ends with 1. */
export function writeSpan(milliseconds: number): string {
  const seconds = Math.max(1, Math.ceil(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
