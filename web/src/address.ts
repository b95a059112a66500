/** What of the view stands in the page's address, so that it can be sent to a colleague. */
export interface Address {
  /** The chosen range of time, in milliseconds. */
  readonly range: number | undefined;
  /** The part of time that was zoomed into, in milliseconds since 1970. */
  readonly zoom: readonly [from: number, to: number] | undefined;
  /** The panel that fills the page. */
  readonly panel: string | undefined;
  /** Whether the header is left out: for a screen on a wall. */
  readonly kiosk: boolean;
}

const UNITS: readonly (readonly [letter: string, milliseconds: number])[] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** `15m`, `1h`: a span as the address and the configuration write it. */
export function spanText(milliseconds: number): string {
  for (const [letter, size] of UNITS) {
    if (milliseconds >= size && milliseconds % size === 0) return `${milliseconds / size}${letter}`;
  }
  return `${milliseconds}ms`;
}

/** `15 m`: the same for people. */
export const spacedSpan = (milliseconds: number): string => spanText(milliseconds).replace(/(?=[a-z])/, " ");

/** The milliseconds of such a text; `undefined` where it is none. */
export function readSpan(text: string | null): number | undefined {
  const [, digits, letter] = /^(\d{1,9})(ms|[dhms])$/.exec(text ?? "") ?? [];
  const size = letter === "ms" ? 1 : UNITS.find(([one]) => one === letter)?.[1];
  const span = size === undefined ? 0 : Number(digits) * size;
  return span > 0 ? span : undefined;
}

/** Reads the part of an address behind `?`; what is no view there is ignored. */
export function readAddress(search: string): Address {
  const query = new URLSearchParams(search);
  const [, from, to] = /^(\d{1,15})-(\d{1,15})$/.exec(query.get("zoom") ?? "") ?? [];
  return {
    range: readSpan(query.get("range")),
    zoom: from !== undefined && Number(from) < Number(to) ? [Number(from), Number(to)] : undefined,
    panel: query.get("panel") ?? undefined,
    kiosk: query.has("kiosk"),
  };
}

/** Writes it; other parameters of the address stay. */
export function writeAddress(search: string, { range, zoom, panel, kiosk }: Address): string {
  const query = new URLSearchParams(search);
  const put = (name: string, value: string | undefined) =>
    value === undefined ? query.delete(name) : query.set(name, value);
  put("range", range === undefined ? undefined : spanText(range));
  put("zoom", zoom?.map(Math.round).join("-"));
  put("panel", panel);
  put("kiosk", kiosk ? "" : undefined);
  const text = query.toString().replace(/\bkiosk=(?=&|$)/, "kiosk");
  return text === "" ? "" : `?${text}`;
}
