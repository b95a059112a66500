import type { Column, Row, RowChange } from "@tidewire/client";
import { describe, expect, it } from "vitest";
import { LineChoice } from "../../src/chart/choice.ts";
import { findAxes, type Line, newest, Pivot } from "../../src/chart/pivot.ts";
import { extent, niceRange, timeLabels } from "../../src/chart/scale.ts";
import { stack } from "../../src/chart/stack.ts";
import { stepOf, windowOf } from "../../src/chart/window.ts";

const COLUMNS: Column[] = ["site", "at", "load", "peak"].map((name) => ({ name, type: "double" }));

function axes(y: string[], series: string | null) {
  const found = findAxes(COLUMNS, { x: "at", y, series });
  if ("missing" in found) throw new Error(found.missing);
  return found;
}

const picture = (pivot: Pivot) => ({
  x: pivot.x,
  ...Object.fromEntries([...pivot.lines].sort().map(([name, line]) => [name, line.cells])),
});

const change = (before: Row | undefined, after: Row | undefined): RowChange => ({ before, after });

function apply(pivot: Pivot, ...rows: RowChange[]): void {
  pivot.apply({ replaced: false, rows }, () => []);
}

describe("the columns of a panel", () => {
  it("are found, or the missing one is named", () => {
    expect(findAxes(COLUMNS, { x: "at", y: ["peak"], series: "site" })).toMatchObject({ x: 1, y: [3], series: 0 });
    expect(findAxes(COLUMNS, { x: "at", y: ["lode"], series: null })).toEqual({ missing: "lode" });
    expect(findAxes(COLUMNS, { x: null, y: ["load"], series: null })).toEqual({ missing: "x" });
  });
});

describe("rows become lines", () => {
  it("of a series over a shared x, whatever their order", () => {
    const pivot = new Pivot(axes(["load"], "site"));
    const rows: Row[] = [
      ["b", 30, 3, 0],
      ["a", 10, 1, 0],
      ["b", 10, "2.5", 0],
      ["a", 20, null, 0],
      ["a", null, 9, 0],
    ];
    pivot.apply({ replaced: true, rows: [] }, () => rows);
    expect(picture(pivot)).toEqual({ x: [10, 20, 30], a: [1, null, undefined], b: [2.5, undefined, 3] });
  });

  it("of days, which come as text", () => {
    const pivot = new Pivot(axes(["load"], "site"));
    const rows: Row[] = [
      ["a", "2024-03-02", 2, 0],
      ["a", "2024-03-01", 1, 0],
      ["a", "soon", 9, 0],
    ];
    pivot.apply({ replaced: true, rows: [] }, () => rows);
    expect(picture(pivot)).toEqual({ x: [new Date(2024, 2, 1).getTime(), new Date(2024, 2, 2).getTime()], a: [1, 2] });
  });

  it("of each y column", () => {
    const one = new Pivot(axes(["load", "peak"], null));
    apply(one, change(undefined, ["a", 10, 1, 2]));
    expect(picture(one)).toEqual({ x: [10], load: [1], peak: [2] });
    const many = new Pivot(axes(["load", "peak"], "site"));
    apply(many, change(undefined, ["a", 10, 1, 2]));
    expect(picture(many)).toEqual({ x: [10], "a load": [1], "a peak": [2] });
  });

  it("which follow inserts, updates, late rows and deletes", () => {
    const pivot = new Pivot(axes(["load"], "site"));
    apply(pivot, change(undefined, ["a", 10, 1, 0]), change(undefined, ["a", 30, 3, 0]));
    apply(pivot, change(["a", 30, 3, 0], ["a", 30, 4, 0]), change(undefined, ["b", 20, 7, 0]));
    expect(picture(pivot)).toEqual({ x: [10, 20, 30], a: [1, undefined, 4], b: [undefined, 7, undefined] });
    apply(pivot, change(["a", 10, 1, 0], undefined));
    expect(picture(pivot)).toEqual({ x: [20, 30], a: [undefined, 4], b: [7, undefined] });
    apply(pivot, change(["b", 20, 7, 0], ["b", 40, 8, 0]));
    expect(picture(pivot)).toEqual({ x: [30, 40], a: [4, undefined], b: [undefined, 8] });
    apply(pivot, change(["b", 40, 8, 0], undefined), change(["a", 30, 4, 0], undefined));
    expect(picture(pivot)).toEqual({ x: [] });
  });

  it("the same by changes as anew, for any order of them", () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 16807) % 2147483647;
      return seed % below;
    };
    const pivot = new Pivot(axes(["load"], "site"));
    const held = new Map<string, Row>();
    for (let step = 0; step < 2000; step++) {
      const site = `s${random(4)}`;
      const at = random(12);
      const key = `${site} ${at}`;
      const before = held.get(key);
      const after: Row | undefined = random(3) === 0 ? undefined : [site, at, random(100), 0];
      if (after === undefined) held.delete(key);
      else held.set(key, after);
      apply(pivot, change(before, after));
      if (step % 50 > 0) continue;
      const anew = new Pivot(axes(["load"], "site"));
      anew.apply({ replaced: true, rows: [] }, () => held.values());
      expect(picture(pivot)).toEqual(picture(anew));
    }
  });

  it("of which only so many are kept as there is room for, the greatest first", () => {
    const pivot = new Pivot(axes(["load"], "site"));
    const rows = Array.from({ length: 5000 }, (_, at): Row => [`s${at}`, at, (at * 7919) % 5000, 0]);
    pivot.apply({ replaced: true, rows: [] }, () => rows);
    expect(pivot.lines.size).toBe(64);
    expect(pivot.left).toBe(5000 - 64);
    const greatest = [...rows].sort((a, b) => Number(b[2]) - Number(a[2])).slice(0, 64);
    expect(new Set(pivot.lines.keys())).toEqual(new Set(greatest.map((row) => row[0])));
    // Once one is gone there is room, and another has all of its past.
    const gone = greatest[0] as Row;
    const kept = rows.filter((row) => row !== gone);
    pivot.apply({ replaced: false, rows: [change(gone, undefined)] }, () => kept);
    pivot.apply({ replaced: false, rows: [] }, () => kept);
    expect([pivot.lines.size, pivot.left]).toEqual([64, 4999 - 64]);
    // Names that come and go are forgotten.
    for (let at = 0; at < 100; at++) {
      const row: Row = [`new${at}`, 6000 + at, 1, 0];
      pivot.apply({ replaced: false, rows: [change(undefined, row)] }, () => kept);
      expect(pivot.left).toBe(4999 - 64 + 1);
      pivot.apply({ replaced: false, rows: [change(row, undefined)] }, () => kept);
    }
    expect([pivot.lines.size, pivot.left]).toEqual([64, 4999 - 64]);
  });

  it("whose newest value is the last that is one", () => {
    expect(newest({ name: "a", rows: 3, cells: [1, 2, null, undefined] })).toBe(2);
    expect(newest({ name: "a", rows: 0, cells: [] })).toBeUndefined();
  });
});

describe("the choice of lines", () => {
  const lines = (values: Record<string, number>) =>
    new Map(Object.entries(values).map(([name, value]): [string, Line] => [name, { name, rows: 1, cells: [value] }]));
  const names = (chosen: (Line | undefined)[]) => chosen.map((line) => line?.name);

  it("orders by name as people do, or as configured", () => {
    expect(names(new LineChoice().choose(lines({ cpu10: 1, cpu2: 2 })))).toEqual(["cpu2", "cpu10"]);
    expect(names(new LineChoice(["sent", "lost"]).choose(lines({ lost: 1, sent: 2 })))).toEqual(["sent", "lost"]);
  });

  it("takes the eight greatest, and keeps them while they are there", () => {
    const choice = new LineChoice();
    const many: Record<string, number> = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`h${at}`, at]));
    const first = ["h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11"];
    expect(names(choice.choose(lines(many)))).toEqual(first);
    expect(names(choice.choose(lines({ ...many, h0: 99 })))).toEqual(first);
    const { h6: _, ...without }: Record<string, number> = { ...many, h0: 99 };
    expect(names(choice.choose(lines(without)))).toEqual(["h4", "h5", "h0", "h7", "h8", "h9", "h10", "h11"]);
  });

  it("leaves the slot of a line that is gone to the next that comes", () => {
    const choice = new LineChoice();
    choice.choose(lines({ a: 1, b: 2, c: 3 }));
    expect(names(choice.choose(lines({ a: 1, c: 3 })))).toEqual(["a", undefined, "c"]);
    expect(names(choice.choose(lines({ a: 1, c: 3, d: 4 })))).toEqual(["a", "d", "c"]);
  });
});

describe("the range of y", () => {
  it.each([
    [27, 71, [0, 80]],
    [95, 100, [94, 100]],
    [0, 0, [0, 1]],
    [5, 5, [4.5, 5.5]],
    [-3, 7, [-5, 7.5]],
    [-9, -2, [-10, 0]],
    [0.001, 0.0042, [0, 0.006]],
  ])("from %d to %d is %j", (low, high, range) => {
    const [from, to] = niceRange(low, high);
    expect(from).toBeCloseTo(range[0] as number, 9);
    expect(to).toBeCloseTo(range[1] as number, 9);
  });

  it("of bytes ends at powers of two, and without numbers is from 0 to 1", () => {
    expect(niceRange(0, 7 * 2 ** 20, 2)).toEqual([0, 8 * 2 ** 20]);
    expect(niceRange(...extent([[null, undefined]], { from: 0, to: 2 }))).toEqual([0, 1]);
  });

  it("of the greatest numbers is made of numbers", () => {
    for (const end of niceRange(-1.7e308, 1.7e308)) expect(Number.isFinite(end)).toBe(true);
  });

  it("stands still while the numbers move a little", () => {
    expect(niceRange(28, 71.2)).toEqual(niceRange(29, 74.9));
  });
});

describe("the window", () => {
  const x = [0, 10, 20, 30, 40, 50].map((minute) => minute * 60_000);
  const [first, last] = [0, 50 * 60_000];

  it("ends at the newest x, and begins where there is data", () => {
    expect(windowOf(x, true, undefined, 25 * 60_000)).toEqual({ range: [25 * 60_000, last], from: 2, to: 6 });
    expect(windowOf(x, true, undefined, 3600_000)).toEqual({ range: [first, last], from: 0, to: 6 });
    expect(windowOf([90_000], true, undefined, 3600_000).range).toEqual([30_000, 90_000]);
    expect(windowOf([], true, undefined, 1000)).toEqual({ range: [0, 1], from: 0, to: 0 });
  });

  it("is a zoom where there is one, with a neighbour on each side", () => {
    const zoom = [15 * 60_000, 32 * 60_000] as const;
    expect(windowOf(x, true, zoom, 1000)).toEqual({ range: [...zoom], from: 1, to: 5 });
    expect(windowOf(x, true, [1e15, 2e15], 1000)).toMatchObject({ from: 5, to: 6 });
  });

  it("leaves a range aside that would show less than a picture, and one of time where x is none", () => {
    expect(windowOf(x, true, undefined, 60_000).range).toEqual([first, last]);
    expect(windowOf(x, false, [1, 2], 60_000).range).toEqual([first, last]);
  });

  it("knows the smallest step", () => {
    const window = { range: [0, 1] as [number, number], from: 0, to: 4 };
    expect(stepOf([0, 10, 13, 30], window)).toBe(3);
    expect(stepOf([5], { ...window, to: 1 })).toBe(60_000);
  });
});

describe("a stack", () => {
  it("stands on zero: upwards what is positive, downwards what is negative", () => {
    const window = { range: [0, 1] as [number, number], from: 0, to: 3 };
    const lines = [
      [1, -1, null],
      [2, -2, 5],
      [3, 4, undefined],
    ];
    expect(stack(lines, window)).toEqual([
      [1, -1, undefined],
      [3, -3, 5],
      [6, 4, undefined],
    ]);
  });

  it("stays a number where the sum would be none", () => {
    const window = { range: [0, 1] as [number, number], from: 0, to: 1 };
    expect(stack([[1.7e308], [1.7e308]], window)[1]).toEqual([Number.MAX_VALUE]);
  });
});

describe("the axis of time", () => {
  it("names the day only where one begins, and seconds only where they matter", () => {
    const at = (hour: number, minute: number, second = 0) => new Date(2026, 2, 20, hour, minute, second).getTime();
    expect(timeLabels([at(0, 0), at(9, 5), at(23, 59)], 60_000)).toEqual(["20 Mar", "09:05", "23:59"]);
    expect(timeLabels([at(9, 5, 7)], 1000)).toEqual(["09:05:07"]);
    expect(timeLabels([at(9, 5)], 86_400_000)).toEqual(["20 Mar"]);
  });
});
