import { SERIES_COLOURS } from "../palette.ts";
import { type Line, newest } from "./pivot.ts";

/** Names in the order that people expect: `cpu2` before `cpu10`. */
const byName = new Intl.Collator("en", { numeric: true }).compare;

/**
 * Which lines are drawn, and in which colours. There are eight colours, so at most eight
 * lines: those whose newest value is greatest. A line that is shown keeps its place and
 * colour until it is gone, for a chart whose colours jump cannot be read.
 */
export class LineChoice {
  readonly #inOrder: (a: string, b: string) => number;
  #slots: (string | undefined)[] = [];
  #among = 0;

  /** @param names the order of the lines, where the configuration gives one. */
  constructor(names?: readonly string[]) {
    this.#inOrder = names === undefined ? byName : (a, b) => names.indexOf(a) - names.indexOf(b);
  }

  /** The lines to draw by slot, which is also their colour. */
  choose(lines: ReadonlyMap<string, Line>): (Line | undefined)[] {
    const gone = this.#slots.some((name) => name !== undefined && !lines.has(name));
    const more = lines.size !== this.#among;
    if (gone || more) this.#fill(lines);
    return this.#slots.map((name) => (name === undefined ? undefined : lines.get(name)));
  }

  #fill(lines: ReadonlyMap<string, Line>): void {
    this.#among = lines.size;
    const kept = this.#slots.map((name) => (name !== undefined && lines.has(name) ? name : undefined));
    const shown = new Set(kept);
    const waiting = [...lines.values()].filter((line) => !shown.has(line.name));
    const room = SERIES_COLOURS - kept.filter((name) => name !== undefined).length;
    const chosen = waiting
      .map((line) => ({ name: line.name, value: newest(line) ?? Number.NEGATIVE_INFINITY }))
      .sort((a, b) => b.value - a.value || this.#inOrder(a.name, b.name))
      .slice(0, room)
      .map(({ name }) => name)
      .sort(this.#inOrder);
    for (let slot = 0; slot < SERIES_COLOURS && chosen.length > 0; slot++) kept[slot] ??= chosen.shift();
    while (kept.length > 0 && kept.at(-1) === undefined) kept.pop();
    this.#slots = kept;
  }
}
