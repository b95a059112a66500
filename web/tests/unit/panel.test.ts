import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { PanelConfig } from "../../src/api.ts";
import { firstEvent } from "../../src/panel/firstEvent.ts";
import { fillRow } from "../../src/panel/layout.ts";

const panel = (span: number): PanelConfig => ({
  title: "Load",
  feed: "load",
  type: "line",
  x: "t",
  y: ["v"],
  series: null,
  columns: [],
  unit: null,
  span,
});

describe("panels", () => {
  it("fill the row alone, and keep their widths beside others", () => {
    expect(fillRow([panel(6)])).toEqual([panel(12)]);
    expect(fillRow([panel(6), panel(4)])).toEqual([panel(6), panel(4)]);
  });
});

describe("the command of a first event", () => {
  const stream = (columns: [string, string][]) => ({
    name: "events",
    writable: true,
    columns: columns.map(([from, type]) => ({ from, type })),
  });

  it("names the stream and its columns, and the server where it is not the usual one", () => {
    const events = stream([
      ["metric", "text"],
      ["value", "double"],
      ["ts", "timestamp"],
    ]);
    const command = `echo '{"metric":"a","value":1.5,"ts":'$(date +%s)000'}' | tidewire push events`;
    expect(firstEvent(events, "http://localhost:8080")).toBe(command);
    expect(firstEvent(events, "https://ops.example")).toBe(`${command} --url https://ops.example`);
  });

  it("is read by a shell as one JSON object, whatever its fields are called", () => {
    const names = ["it's", 'a "b"', "$(x) `y`"];
    const command = firstEvent(
      stream([...names.map((name): [string, string] => [name, "json"]), ["at", "timestamp"]]),
      "",
    );
    const said = execFileSync("sh", ["-c", command.split(" | ")[0] ?? ""], { encoding: "utf8" });
    const event = JSON.parse(said);
    expect(Object.keys(event)).toEqual([...names, "at"]);
    expect(Math.abs(event.at - Date.now())).toBeLessThan(60_000);
  });
});
