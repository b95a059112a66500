// Holds the documentation against the program: node scripts/check-docs.mjs PROGRAM
//
// - every relative link leads somewhere, to a heading if it names one, and every picture is there;
// - every ```json block is JSON, one value or one a line;
// - every ```yaml block that begins with `# complete`, and every configuration under
//   examples/, passes `PROGRAM check`, SQL included;
// - every invariant of docs/INVARIANTS.md names tests, and all that are named there exist;
// - the pure crates (INV-10) name no clock, socket, file or runtime;
// - docs/architecture.md says of each crate which others it knows.
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

/** The headings of a page as GitHub makes anchors of them. */
function anchors(path) {
  const text = readFileSync(path, "utf8").replaceAll(/^```[\s\S]*?^```/gm, "");
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading.toLowerCase());
  return headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-"));
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
  const links = [...prose.matchAll(/\]\(([^)\s]+)[^)]*\)/g), ...prose.matchAll(/ (?:src|srcset)="([^"\s]+)"/g)];
  for (const [, link] of links) {
    if (/^[a-z]+:/.test(link)) continue;
    const [target, heading] = link.split("#");
    const to = target ? join(dirname(path), target) : path;
    if (!existsSync(to)) problems.push(`${place}: a link leads nowhere: ${link}`);
    else if (heading && !anchors(to).includes(heading)) problems.push(`${place}: there is no such heading: ${link}`);
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
const isTest = /^[a-z0-9]+(?:_[a-z0-9]+){2,}$/;
for (const [, name] of invariants.matchAll(/`([^`]+)`/g)) {
  if (!isTest.test(name)) continue;
  checked += 1;
  const test = new RegExp(`\\btest\\b[^\\n]*\\]\\s*(?:(?:#\\[|//)[^\\n]*\\s*)*(?:async )?fn ${name}\\b`);
  if (!test.test(code)) problems.push(`docs/INVARIANTS.md names a test that is not there: ${name}`);
}
// The one waits for authentication, the other is the next check.
const withoutTests = ["INV-5", "INV-10"];
for (const [, number, shown] of invariants.matchAll(/^\| \*\*(INV-\d+)\*\* \|.*\| (.*) \|$/gm)) {
  const tests = [...shown.matchAll(/`([^`]+)`/g)].filter(([, name]) => isTest.test(name));
  if ((tests.length === 0) !== withoutTests.includes(number)) problems.push(`${number} names ${tests.length} tests`);
}

for (const path of ["model", "query", "feed"].flatMap((crate) => files(join(top, "crates", crate, "src"), ".rs"))) {
  const lines = readFileSync(path, "utf8").split("\n");
  const impure = lines.find((line) => /^\s*[^/]*\b(tokio|std::(net|fs|io::std)|SystemTime|Instant::now)\b/.test(line));
  if (impure) problems.push(`${relative(top, path)}: not pure (INV-10): ${impure.trim()}`);
}

const [, architecture] = readFileSync(join(top, "docs/architecture.md"), "utf8").split("\n## Crates\n");
const known = [...architecture.matchAll(/^\| `([a-z]+)` \|.*\| (.*) \|$/gm)].filter(([, crate]) =>
  existsSync(join(top, "crates", crate)),
);
for (const [, crate, says] of known) {
  checked += 1;
  const manifest = readFileSync(join(top, "crates", crate, "Cargo.toml"), "utf8");
  const [, dependencies = ""] = /^\[dependencies\]\n([^[]*)/m.exec(manifest) ?? [];
  const has = (other) => new RegExp(`^${other}\\b`, "m").test(dependencies);
  const knows = known.map(([, other]) => other).filter(has);
  const listed = says === "all of these" ? known.map(([, other]) => other).filter((other) => other !== crate) : says;
  const told = Array.isArray(listed) ? listed : [...listed.matchAll(/`([a-z]+)`/g)].map(([, other]) => other);
  if (knows.sort().join() !== told.sort().join())
    problems.push(`docs/architecture.md: ${crate} knows ${knows.join(", ") || "none"}`);
}

rmSync(scratch, { recursive: true });
for (const problem of problems) console.error(problem);
console.log(`${checked} examples and names checked, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
