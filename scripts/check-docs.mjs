// Holds the documentation against the program: node scripts/check-docs.mjs PROGRAM
//
// - every relative link leads somewhere;
// - every ```json block is JSON, one value or one a line;
// - every ```yaml block that begins with `# complete`, and every configuration under
//   examples/, passes `PROGRAM check`, SQL included;
// - every test that docs/INVARIANTS.md names exists.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const top = fileURLToPath(new URL("..", import.meta.url));
const program = process.argv[2];
if (!program) {
  console.error("usage: node scripts/check-docs.mjs PROGRAM");
  process.exit(2);
}

/** All files under a folder whose names end so, built and fetched ones aside. */
function files(folder, ending) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (["node_modules", "dist", "target"].includes(entry.name) || entry.name.startsWith(".")) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return files(path, ending);
    return entry.name.endsWith(ending) ? [path] : [];
  });
}

const problems = [];
const scratch = mkdtempSync(join(tmpdir(), "tidewire-docs-"));
let checked = 0;

/** Runs `check` where the configuration's relative paths hold. */
function check(configuration, folder, place) {
  checked += 1;
  const run = spawnSync(program, ["check", "-c", configuration], { cwd: folder, encoding: "utf8" });
  if (run.status !== 0) problems.push(`${place}: ${run.error ?? run.stdout + run.stderr}`);
}

for (const path of files(top, ".md")) {
  const place = relative(top, path);
  const text = readFileSync(path, "utf8");
  const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)];
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, "").replaceAll(/`[^`]*`/g, "");
  for (const [, target] of prose.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
    const external = /^[a-z]+:/.test(target);
    if (!external && !existsSync(join(dirname(path), target))) problems.push(`${place}: a link leads nowhere: ${target}`);
  }
  for (const [, language, body] of blocks) {
    if (language === "json") {
      checked += 1;
      try {
        JSON.parse(body);
      } catch {
        for (const line of body.split("\n").filter((l) => l.trim())) {
          try {
            JSON.parse(line);
          } catch (error) {
            problems.push(`${place}: ${error.message}: ${line}`);
          }
        }
      }
    } else if (language === "yaml" && body.startsWith("# complete")) {
      const file = join(scratch, "tidewire.yaml");
      writeFileSync(file, body);
      check(file, top, `${place}, the example that begins with "${body.split("\n")[1]}"`);
    }
  }
}

for (const path of files(join(top, "examples"), ".yaml")) check(path, dirname(path), relative(top, path));

const sources = [...files(join(top, "crates"), ".rs"), ...files(join(top, "web", "tests"), "s")];
const code = sources.map((path) => readFileSync(path, "utf8")).join("\n");
const invariants = readFileSync(join(top, "docs/INVARIANTS.md"), "utf8");
for (const [, name] of invariants.matchAll(/`([a-z0-9]+(?:_[a-z0-9]+){2,})`/g)) {
  checked += 1;
  if (!new RegExp(`fn ${name}\\b`).test(code)) problems.push(`docs/INVARIANTS.md names a test that is not there: ${name}`);
}

rmSync(scratch, { recursive: true });
for (const problem of problems) console.error(problem);
console.log(`${checked} examples and names checked, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
