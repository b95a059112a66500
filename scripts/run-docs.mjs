// Does what pages of the documentation say, word for word, from an empty directory:
//
//     node scripts/run-docs.mjs PROGRAM PAGE...
//
// Of a page's blocks,
//
//     ```sh             runs to its end, in the working directory that the one before left;
//     ```sh NAME        runs on in a terminal of this name;
//     ```text           is what the block before it printed, all of it; it is asked again for a
//                       while if it differs, as a reader would do;
//     ```text NAME      comes next in the terminal of this name, after what was seen there before.
//
// In what is printed, … stands for anything in a line, and alone on a line for any lines.
// Comments say what else a reader does:
//
//     <!-- run: Ctrl-C NAME -->               in the terminal of this name
//     <!-- run: page PATH: TITLE, TITLE -->   opens a page, or looks again at the open one; it has
//                                             these panels, all of them live
//     <!-- run: not, WHY -->                  leaves the next block to the reader
//
// `tidewire` in a block is PROGRAM. It listens on a free port: port 8080 in the page's text is
// replaced by that, and back in what is printed, so that it may be in use.
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, openBrowser, readPanel, until, watchConsole } from "../web/tests/browser/harness.mjs";

const [program, ...pages] = process.argv.slice(2);
if (pages.length === 0) {
  console.error("usage: node scripts/run-docs.mjs PROGRAM PAGE...");
  process.exit(2);
}

/** How long a block may run, and how long what is promised may take to be seen. */
const PATIENCE = 30_000;
const PORT = 8080;

/** The steps of a page, in order: blocks and what comments say, each with its line. */
function steps(text) {
  const found = [];
  const step = /^```(sh|text)(?: (\S+))?\n([\s\S]*?)^```$|^<!-- run: (.*?) -->$|^```\w*[^\n]*\n[\s\S]*?^```$/gm;
  for (const match of text.matchAll(step)) {
    const [, language, terminal, body, action] = match;
    const line = text.slice(0, match.index).split("\n").length;
    if (language || action) found.push({ line, language, terminal, body, action });
  }
  return found;
}

/** What matches a printed text with its …; `whole` from the first line to the last. */
function pattern(expected, whole) {
  const literal = (line) => line.trimEnd().replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const lines = expected
    .trimEnd()
    .split("\n")
    .map((line) => {
      return line.trim() === "…" ? "(?:.*\\n)*?" : `${literal(line).replaceAll("…", ".*")}[ ]*\\n`;
    });
  return new RegExp(whole ? `^${lines.join("")}$` : `(?:^|\\n)${lines.join("")}`);
}

/** A page being read: its directory, its terminals, what they have shown. */
class Reader {
  terminals = new Map();
  tabs = new Map();
  browser;
  environment;

  constructor(page, port) {
    this.page = page;
    this.port = port;
    this.directory = mkdtempSync(join(tmpdir(), "tidewire-docs-"));
    this.cwd = join(this.directory, "empty");
    const bin = join(this.directory, "bin");
    mkdirSync(this.cwd);
    mkdirSync(bin);
    const listen = `case $command in serve | demo) shift; set -- "$command" --listen 127.0.0.1:${port} "$@" ;; esac`;
    const script = `#!/bin/sh\ncommand=$1\n${listen}\nexec '${resolve(program)}' "$@"\n`;
    writeFileSync(join(bin, "tidewire"), script);
    chmodSync(join(bin, "tidewire"), 0o755);
    this.environment = {
      ...process.env,
      PATH: `${bin}:${process.env.PATH}`,
      TIDEWIRE_URL: `http://127.0.0.1:${port}`,
      // What a terminal gets by itself.
      TIDEWIRE_LOG_FORMAT: "text",
      RUN_DOCS_CWD: join(this.directory, "cwd"),
    };
    for (const name of ["TIDEWIRE_CONFIG", "TIDEWIRE_LOG"]) delete this.environment[name];
  }

  /** Starts a block as a group of processes of its own, as a terminal does. */
  start(body) {
    const text = body.replaceAll(`127.0.0.1:${PORT}`, `127.0.0.1:${this.port}`);
    const child = spawn("bash", ["-eu", "-o", "pipefail", "-c", `exec 2>&1\n${text}`], {
      cwd: this.cwd,
      env: this.environment,
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const running = { child, output: "", seen: 0, done: false };
    child.stdout.setEncoding("utf8");
    let pending = "";
    child.stdout.on("data", (more) => {
      // Whole lines, so that no address is cut in two. CSV ends its lines as RFC 4180 says.
      const lines = (pending + more).split(/\r?\n/);
      pending = lines.pop();
      running.output += lines.map((line) => `${line.replaceAll(`:${this.port}`, `:${PORT}`)}\n`).join("");
    });
    running.ended = new Promise((resolve) =>
      child.once("close", (code, signal) => {
        if (pending) running.output += `${pending.replaceAll(`:${this.port}`, `:${PORT}`)}\n`;
        running.done = true;
        resolve(signal ?? code);
      }),
    );
    return running;
  }

  async run(body) {
    const running = this.start(`${body}\npwd >"$RUN_DOCS_CWD"`);
    const status = await Promise.race([running.ended, pause(PATIENCE, "time-out", { ref: false })]);
    if (status !== 0) {
      stop(running, "SIGKILL");
      throw new Error(`the block ended with ${status}:\n${running.output}`);
    }
    this.cwd = readFileSync(this.environment.RUN_DOCS_CWD, "utf8").trimEnd();
    return running.output;
  }

  /** Runs a block and holds it to what is said to be printed; asks again while it differs. */
  async expect(body, expected) {
    const wanted = pattern(expected, true);
    const end = Date.now() + PATIENCE;
    for (;;) {
      const output = await this.run(body);
      if (wanted.test(output)) return;
      if (Date.now() > end) throw new Error(`it says\n${expected}\nbut printed is\n${output}`);
      await pause(300);
    }
  }

  async see(name, expected) {
    const running = this.terminal(name);
    const wanted = pattern(expected, false);
    const end = Date.now() + PATIENCE;
    for (;;) {
      const match = wanted.exec(running.output.slice(running.seen));
      if (match) {
        // The last line's end begins the next match.
        running.seen += match.index + match[0].length - 1;
        return;
      }
      if (Date.now() > end || running.done) {
        throw new Error(`the ${name} terminal should show\n${expected}\nafter what was seen`);
      }
      await pause(100);
    }
  }

  terminal(name) {
    const running = this.terminals.get(name);
    if (!running) throw new Error(`there is no ${name} terminal`);
    return running;
  }

  /** Opens a page, or looks at it where it is open already, and waits until its panels are live. */
  async look(path, titles) {
    this.browser ??= await openBrowser();
    if (!this.tabs.has(path)) {
      const tab = await this.browser.newPage();
      this.tabs.set(path, { tab, watch: watchConsole(tab) });
      await tab.goto(`http://127.0.0.1:${this.port}${path}`);
    }
    const { tab, watch } = this.tabs.get(path);
    for (const title of titles) {
      await until(`${path}: the panel ${title} is live`, async () => {
        const panel = tab.getByRole("region", { name: title, exact: true });
        if ((await panel.count()) === 0) return "not there";
        const { state } = await readPanel(tab, title);
        return state === "live" || state;
      });
    }
    if (watch.faults.length > 0) throw new Error(`${path}: the console is not silent: ${watch.faults.join("; ")}`);
  }

  async act(action) {
    const [, what, rest] = /^(Ctrl-C|page) (.+)$/.exec(action) ?? [];
    if (what === "Ctrl-C") {
      const running = this.terminal(rest);
      // Pages that are open lose their connection, if this was the server.
      for (const { watch } of this.tabs.values()) watch.expectLoss = true;
      stop(running, "SIGINT");
      const ended = await Promise.race([running.ended, pause(PATIENCE, "time-out", { ref: false })]);
      if (ended === "time-out") throw new Error(`Ctrl-C does not end what runs in the ${rest} terminal`);
    } else if (what === "page") {
      const [path, titles] = rest.split(": ");
      await this.look(path, titles.split(", "));
    } else {
      throw new Error(`an unknown step: ${action}`);
    }
  }

  async read() {
    const all = steps(readFileSync(this.page, "utf8"));
    let ran = 0;
    for (let at = 0; at < all.length; at += 1) {
      const { line, language, terminal, body, action } = all[at];
      try {
        if (action?.startsWith("not, ")) {
          at += 1;
        } else if (action) {
          await this.act(action);
        } else if (language === "sh" && terminal) {
          const old = this.terminals.get(terminal);
          if (old && !old.done) throw new Error(`something still runs in the ${terminal} terminal`);
          this.terminals.set(terminal, this.start(body));
        } else if (language === "sh") {
          const next = all[at + 1];
          if (next?.language === "text" && !next.terminal) {
            await this.expect(body, next.body);
            at += 1;
          } else {
            await this.run(body);
          }
        } else if (terminal) {
          await this.see(terminal, body);
        } else {
          throw new Error("nothing before this block prints it; name the terminal that does");
        }
        ran += 1;
        for (const [name, { done, stopped }] of this.terminals) {
          if (done && !stopped) throw new Error(`what ran in the ${name} terminal has ended by itself`);
        }
      } catch (error) {
        const shown = [...this.terminals].map(([name, { output }]) => `\n--- the ${name} terminal:\n${output}`);
        throw new Error(`${this.page}:${line}: ${error.message}${shown.join("")}`);
      }
    }
    return ran;
  }

  async close() {
    await this.browser?.close();
    for (const running of this.terminals.values()) {
      stop(running, "SIGKILL");
      await running.ended;
    }
    rmSync(this.directory, { recursive: true });
  }
}

/** A signal to all of a block's processes, as a terminal sends it. */
function stop(running, signal) {
  running.stopped = true;
  if (!running.done) process.kill(-running.child.pid, signal);
}

let failed = false;
for (const page of pages) {
  const reader = new Reader(page, await freePort());
  const began = Date.now();
  try {
    const ran = await reader.read();
    if (ran === 0) throw new Error(`${page}: there is nothing to run`);
    console.log(`${basename(page)}: ${ran} steps as they are written, in ${Math.round((Date.now() - began) / 1000)} s`);
  } catch (error) {
    failed = true;
    console.error(error.message);
  } finally {
    await reader.close();
  }
}
process.exit(failed ? 1 : 0);
