import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { wholePanel } from "../../src/api.ts";
import { firstEvent } from "../../src/panel/firstEvent.ts";
import { namePanels } from "../../src/panel/layout.ts";

const panel = (title: string, span: number) => wholePanel({ title, span });
const spans = (...of: number[]) => namePanels(of.map((span, at) => panel(`p${at}`, span)));

describe("panels", () => {
  it("fill the row alone, and keep their widths beside others", () => {
    expect(spans(6).map(({ span }) => span)).toEqual([12]);
    expect(spans(6, 4).map(({ span }) => span)).toEqual([6, 4]);
  });

  it("leave no hole in two columns", () => {
    expect(spans(3, 3, 3, 8, 3, 4).map(({ phone }) => phone)).toEqual([1, 1, 2, 2, 2, 2]);
    expect(spans(3, 6, 6, 8, 3, 4).map(({ tablet }) => tablet)).toEqual([1, 1, 2, 2, 1, 1]);
  });

  it("are named by their titles, and each otherwise", () => {
    const ids = namePanels([panel("Load", 6), panel("Load", 6), panel("", 6)]).map(({ id }) => id);
    expect(ids).toEqual(["Load", "Load ~2", ""]);
  });
});

describe("the command of a first event", () => {
  const stream = (columns: [string, string][]) => ({
    name: "events",
    writable: true,
    columns: columns.map(([from, type]) => ({ from, type })),
    accepted: 0,
    dead_letters: 0,
    watermark: null,
    ended: false,
    failure: null,
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
