//! What stands below the options in `--help`: examples, and what the options do not say.

pub(super) const ALL: &str = "\
Examples:
  tidewire demo                           a live page, with nothing to set up
  tidewire init sales.csv                 a configuration for a file of yours
  tidewire serve                          run it, then open http://127.0.0.1:8080
  tidewire tail FEED                      watch a feed here
  tidewire query 'SELECT * FROM FEED'     ask it

Exit codes:
  0  it went well
  1  it did not, and said why on standard error
  2  the command line is wrong

Results go to standard output, everything else to standard error. --json prints results for
programs. NO_COLOR, a pipe and TERM=dumb turn off colours and everything that moves.";

pub(super) const DEMO: &str = "\
Shows this machine, a made-up shop and a made-up fleet.

Examples:
  tidewire demo
  then open http://127.0.0.1:8080/dashboard/demo
  tidewire demo --write mine
  cd mine && tidewire serve";

pub(super) const INIT: &str = "\
Reads the first 10,000 records and writes a stream that reads the file, three feeds and a page
over them, with comments. Nothing else is changed, and a configuration that is there is kept
unless --force says otherwise.

Examples:
  tidewire init sales.csv && tidewire serve
  tidewire init events.ndjson -o conf/events.yaml
  tidewire init sales.csv -o - | less";

pub(super) const SERVE: &str = "\
Ends with SIGTERM or Ctrl-C, after a last checkpoint. TIDEWIRE_LOG chooses what is logged:
TIDEWIRE_LOG=debug.

Examples:
  tidewire serve -c tidewire.yaml
  tidewire serve -c conf.d --data-dir /var/lib/tidewire";

pub(super) const CHECK: &str = "\
Prints every problem as file:line:column and exits with 1, or says that all is well and exits
with 0.

Examples:
  tidewire check
  tidewire check -c conf.d --json | jq -r '.problems[].message'";

pub(super) const PUSH: &str = "\
A request whose answer was lost is sent again and counts once. Exits with 1 if no event was
accepted; events that were refused are dead letters of the stream.

Examples:
  tidewire push events events.ndjson
  tidewire push orders orders.csv --rate 500 --retime
  tail -f app.log.json | tidewire push logs -";

pub(super) const TAIL: &str = "\
On a terminal the table updates in place: arrows and PgUp, PgDn move, q ends. In a pipe each
changed row is a line, and a dash stands before the key of a row that went. --json gives frames:
`subscribed` with the columns, then `snapshot` with `rows`, then `delta` with `upsert` and
`delete`.

Examples:
  tidewire tail load_10s
  tidewire tail load_10s --json | jq -c .upsert
  tidewire tail load_10s --once > now.txt";

pub(super) const QUERY: &str = "\
WHERE, GROUP BY, HAVING, DISTINCT, OVER, ORDER BY and LIMIT over one feed; no joins. The server
bounds time, memory and rows (limits.query_timeout, query_memory, query_rows).

Examples:
  tidewire query 'SELECT * FROM load_10s ORDER BY value DESC LIMIT 5'
  tidewire query 'SELECT metric, max(value) FROM load_10s GROUP BY metric' --json | jq .
  tidewire query - --csv < report.sql > report.csv";

pub(super) const DEAD_LETTERS: &str = "\
Examples:
  tidewire dead-letters events
  tidewire dead-letters events --reason wrong_type --json | jq -r .raw";

pub(super) const REPLAY: &str = "\
Each becomes an event once. What a feed refused (`late`, `query_failed`, …) was accepted by the
stream and is not sent again.

Examples:
  tidewire replay events
  tidewire replay events --reason wrong_type";

pub(super) const REBUILD: &str = "\
Example:
  tidewire rebuild load_10s";

pub(super) const SCHEMA: &str = "\
Example:
  tidewire schema > tidewire.schema.json";

pub(super) const COMPLETIONS: &str = "\
Examples:
  tidewire completions bash > ~/.local/share/bash-completion/completions/tidewire
  tidewire completions zsh > ~/.zfunc/_tidewire
  tidewire completions fish > ~/.config/fish/completions/tidewire.fish";

pub(super) const MAN: &str = "\
Examples:
  tidewire man | man -l -
  tidewire man --dir ~/.local/share/man/man1 && man tidewire-push";
