// Fails the build when the script has outgrown its budget: 60 KB compressed, as sent.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BUDGET = 60_000;
const assets = new URL("../dist/assets/", import.meta.url);

let script = 0;
for (const name of readdirSync(assets).sort()) {
  const bytes = readFileSync(new URL(name, assets));
  const packed = gzipSync(bytes, { level: 9 }).length;
  if (name.endsWith(".js")) script += packed;
  console.log(`${name.padEnd(48)} ${String(bytes.length).padStart(8)} B  ${String(packed).padStart(7)} B gzip`);
}
console.log(`script: ${script} of ${BUDGET} B`);
if (script > BUDGET) {
  console.error("The page's script is over its budget: what was added, and is it worth that?");
  process.exit(1);
}
