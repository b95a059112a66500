import type { StreamInfo } from "../api.ts";

/** Where `tidewire push` sends unless told otherwise. */
const USUAL = ["http://127.0.0.1:8080", "http://localhost:8080"];

/** Ends a quoted word of the shell, and begins it again: the time is that of sending. */
const NOW = `'$(date +%s)000'`;

const VALUES: Readonly<Record<string, string>> = {
  text: '"a"',
  bigint: "1",
  int: "1",
  double: "1.5",
  boolean: "true",
  timestamp: NOW,
  json: "{}",
  date: '"2024-12-31"',
  bytes: '"YQ=="',
  "text[]": '["a"]',
};

/** The type without what stands in its brackets: `decimal(9,2)`. */
const exampleOf = (type: string): string => VALUES[type] ?? (type.startsWith("decimal") ? "1" : "null");

/** A shell command that sends an event with every column of a stream to the server at `origin`. */
export function firstEvent(stream: StreamInfo, origin: string): string {
  const fields = stream.columns.map(
    ({ from, type }) => `${JSON.stringify(from).replaceAll("'", "'\\''")}:${exampleOf(type)}`,
  );
  const url = USUAL.includes(origin) ? "" : ` --url ${origin}`;
  return `echo '{${fields.join(",")}}' | tidewire push ${stream.name}${url}`;
}
