//! Sections that contradict themselves or each other, word for word.

use crate::bad::check;

#[test]
fn sources() {
    check(
        r"streams:
  a: { source: { type: kafka, topic: x }, schema: { a: text } }
  b: { source: { type: htttp }, schema: { a: text } }
  c: { source: { type: ftp }, schema: { a: text } }
  d: { source: { type: http, path: x }, format: csv, schema: { a: text } }
  e: { source: { type: file, path: a.json }, schema: { a: text } }
  f: { source: { type: file, path: a.csv, format: csv }, format: xml, schema: { a: text } }
  g: { source: [http], schema: { a: text } }
",
        r"
t.yaml:2:24: `type`: sources of type `kafka` are not in this version
  the types are `http`, `file`, `generator`, `host`
t.yaml:3:24: `type`: there is no source of type `htttp`
  did you mean `http`?
t.yaml:4:24: `type`: there is no source of type `ftp`
  the types are `http`, `file`, `generator`, `host`
t.yaml:5:30: unknown key `path` in the source
  the keys here are `type`
t.yaml:5:49: `format` belongs to streams of files
  an http stream takes it from each request's Content-Type; a generator has none
t.yaml:6:36: `path`: the ending of `a.json` does not tell its format
  write `format: ndjson`, `format: csv` or `format: parquet` beside `source:`
t.yaml:7:43: unknown key `format` in the source
  `format:` stands in the stream, beside `source:`
t.yaml:7:66: `format`: expected one of `ndjson`, `csv`, `parquet`, found `xml`
t.yaml:8:16: `source`: expected a map, found a list
  write `source: { type: http }`
",
    );
}

#[test]
fn generators() {
    check(
        r"streams:
  a:
    schema: { a: text, b: double, c: int, d: timestamp, e: json, f: double, g: double }
    source:
      type: generator
      rate: 0
      seed: -1
      columns:
        a: { uniform: [1, 2] }
        b: { walk: { start: 5, step: 1, low: 0, high: 2 } }
        c: { choise: [a] }
        bb: now
        f: { uniform: [1] }
        g: { wave: { low: 3, high: 1, period: 10 } }
",
        r"
t.yaml:6:13: `rate`: expected more than 0 and at most 1000000, found 0
t.yaml:7:13: `seed`: expected a whole number from 0, found `-1`
  write figures alone, such as `80`
t.yaml:9:9: `columns`: nothing says what `e` gets
  for example `e: { choice: [a, b, c] }`
t.yaml:9:12: `a`: `uniform` makes no text
  `uniform` fills columns of type `double`, `bigint`, `int`, `decimal`, `boolean`
t.yaml:10:20: `walk`: `start` (5) is not between 0 and 2
t.yaml:11:12: `c`: expected `now` or a map of `choice`, `uniform`, `walk`, `wave`, `lognormal` or `sequence`, found a map
  did you mean `choice`?
t.yaml:12:9: `columns`: the stream has no column `bb`
  did you mean `b`?
t.yaml:13:23: `uniform`: expected a list of 2, found one of 1
t.yaml:14:20: `wave`: the least (3) is more than the most (1)
t.yaml:14:47: `period`: expected a duration such as `10s`, found `10`
  a duration has a unit: `10ms`, `10s`, `10m`, `10h` or `10d`
",
    );
    check(
        r"streams:
  a:
    schema: { a: text, b: double, c: bigint }
    source:
      type: generator
      rate: fast
      columns: { a: later, b: { walk: { start: .nan, step: 0 } }, c: { sequence: 1e3 } }
",
        r"
t.yaml:6:13: `rate`: expected a number, found `fast`
  write figures alone, such as `80`
t.yaml:7:21: `a`: expected `now` or a map of `choice`, `uniform`, `walk`, `wave`, `lognormal` or `sequence`, found `later`
t.yaml:7:39: `walk`: `low` is missing
  `low:` the least
t.yaml:7:39: `walk`: `high` is missing
  `high:` the most
t.yaml:7:48: `start`: expected a number, found `.nan`
  write figures alone, such as `80`
t.yaml:7:82: `sequence`: expected a whole number of 64 bits, found `1e3`
",
    );
}

#[test]
fn event_time() {
    check(
        r"streams:
  s:
    source: { type: http }
    schema: { a: text, v: double, ts: timestamp }
    event_time: { column: tss }
",
        r"
t.yaml:5:27: `column`: there is no column `tss`
  did you mean `ts`?
",
    );
    check(
        r"streams:
  s:
    source: { type: http }
    schema: { a: text, v: double, ts: timestamp }
    event_time: { column: v, lateness: 5s }
",
        r"
t.yaml:5:27: `column`: `v` is double, and an event's time is a timestamp
  write `v: timestamp` under `schema:`
t.yaml:5:30: unknown key `lateness` in `event_time`
  write `max_lateness`
",
    );
    check(
        r"streams:
  s:
    source: { type: http }
    schema: { a: text, v: double, ts: timestamp }
    event_time: {}
",
        r"
t.yaml:5:17: `event_time`: `column` is missing
  `column:` the column of the event's time, a timestamp
",
    );
}

#[test]
fn feeds() {
    check(
        r"feeds:
  a: { sql: SELECT 1, delete_when: x > 1 }
  b: { sql: SELECT 1, emit: final, refresh: 1s, key: [a, a], keep_rows: 0 }
  c: { sql: SELECT 1, emit: finally, keep: 0s, max_groups: 2000000000, query: x }
",
        r"
t.yaml:2:36: `delete_when` removes keys, and this feed names none
  add `key:` with the columns that name a row
t.yaml:3:45: `refresh` has no effect with `emit: final`, which shows each window once
  leave one of the two out
t.yaml:3:58: `key`: `a` is named twice
t.yaml:3:73: `keep_rows`: 0 is too little; the least is 1
t.yaml:4:29: `emit`: expected one of `changes`, `final`, found `finally`
  did you mean `final`?
t.yaml:4:44: `keep`: 0s is too little; the least is 1ms
t.yaml:4:60: `max_groups`: 2000000000 is too much; the most is 1000000000
t.yaml:4:72: unknown key `query` in feed `c`
  write `sql`
",
    );
}

#[test]
fn rhythms_and_hosts() {
    check(
        r"streams:
  a:
    schema: { a: text, b: double }
    source:
      type: generator
      rate: 5
      columns: { a: { choice: { x: 1, y: -1 } }, b: { lognormal: { median: 0, spread: 9 } } }
      rhythm: { wave: { low: 2, high: 1, period: 1m }, outage: { every: 1m, for: 1m } }
      late: { share: 5, by: 10s }
      silent: { column: b, share: 0.1, for: 1s }
  b:
    schema: { a: text }
    source: { type: generator, rate: 1, columns: { a: { choice: { x: 0 } } }, rhythm: { spike: { every: 1m, for: 1s } } }
  c: { source: { type: host, interval: 1s, every: 1ms, top: 0, processes: never } }
  d: { source: { type: host }, schema: { metric: int, nmae: text, v: { type: double, from: value } } }
",
        r"
t.yaml:7:42: `choice`: `y` comes -1 times
  a number beside each text says how often it comes beside the others
t.yaml:7:66: `lognormal`: `median` (0) is more than 0, `spread` (9) from 0 to 5
t.yaml:8:30: `low`: expected a share from 0 to 1, found 2
  1 is all, 0.25 a quarter
t.yaml:8:82: `outage`: `for` is not less than `every`: it would never end
t.yaml:9:22: `share`: expected a share from 0 to 1, found 5
  1 is all, 0.25 a quarter
t.yaml:13:65: `choice`: expected 1 to 100000 texts, one at least more than 0 times, found a map
t.yaml:13:96: `spike` needs `wave`: without it there is all of the rate already
  say how much there is between the spikes: `wave: { low: 0.2, high: 0.2, period: 1m }`
t.yaml:14:30: unknown key `interval` in the source
  write `every`
t.yaml:14:51: `every`: 1ms is too little; the least is 250ms
t.yaml:14:61: `top`: 0 is too little; the least is 1
t.yaml:14:75: `processes`: expected a duration such as `10s`, or `off`, found `never`
  a whole number and one of the units `ms`, `s`, `m`, `h` and `d`
t.yaml:15:40: `schema`: `metric` of a host source is text
  write `metric: text`
t.yaml:15:40: `schema`: a host source tells no `nmae`
  it tells `host`, `metric`, `name`, `value`, `ts`; leave `schema` out for all of them
",
    );
}

#[test]
fn panels_of_one_number_and_of_bars() {
    check(
        r"feeds:
  f: { sql: SELECT 1 }
dashboards:
  d:
    range: 1
    panels:
      - { feed: f, type: number }
      - { feed: f, type: stat, y: [a, b], series: c, compare: 5m }
      - { feed: f, type: stat, x: t, y: a, combine: average, columns: [a] }
      - { feed: f, type: gauge, y: a, min: 5, max: 5, compare: 1m }
      - { feed: f, type: gauge, y: a, min: low, warn: '80' }
      - { feed: f, type: bar, x: a, y: b, min: 1, rows: 0, sort: '- b c' }
      - { feed: f, type: area, x: t, y: a, only: cpu }
      - { feed: f, type: table, only: { host: [] , b-c: x, d: { e: f } }, bars: {}, unit: ms, expect: 10 }
",
        r"
t.yaml:5:12: `range`: expected a duration such as `10s`, found `1`
  a duration has a unit: `1ms`, `1s`, `1m`, `1h` or `1d`
t.yaml:7:26: `type`: expected one of `line`, `area`, `bar`, `stat`, `gauge`, `table`, found `number`
  did you mean `stat`?
t.yaml:8:35: `y`: expected a name, found a list
t.yaml:8:43: unknown key `series` in the stat panel
  this panel shows one number: `only` chooses rows, `combine` makes one number of several
t.yaml:8:63: `compare` needs `x`: without a time there is no past
  name the column of its time: `x: window_start`
t.yaml:9:53: `combine`: expected one of `last`, `sum`, `mean`, `min`, `max`, `count`, found `average`
t.yaml:9:62: unknown key `columns` in the stat panel
  columns are a table's; this panel names its own under `x`, `y` and `series`
t.yaml:10:52: `max` (5) is not more than `min` (5)
t.yaml:10:55: unknown key `compare` in the gauge panel
  `compare` is a stat's
t.yaml:11:44: `min`: expected a number, found `low`
  write figures alone, such as `80`
t.yaml:11:55: `warn`: expected a number, found `80`
  leave the quotes out
t.yaml:12:43: unknown key `min` in the bar panel
  bars start at zero
t.yaml:12:57: `rows`: 0 is too little; the least is 1
t.yaml:12:66: `sort`: expected a column, found `- b c`
  a column's name; with `-` before it the greatest comes first: `sort: -load`
t.yaml:13:50: `only`: expected a map of columns and values, found `cpu`
  write `only: { column: cpu }`
t.yaml:14:47: `host`: expected a list of 1 to 100, found one of 0
t.yaml:14:52: `b-c` cannot be the name of a feed column
  write `b_c`; a name has 1 to 64 letters a to z, digits and `_`, and no digit first
t.yaml:14:63: `d`: expected a list, found a map
  begin each item with `- `
t.yaml:14:81: `bars`: expected a list, found a map
  begin each item with `- `
t.yaml:14:85: unknown key `unit` in the table panel
  a unit belongs to a panel with `y`
t.yaml:14:103: `expect`: expected a duration such as `10s`, found `10`
  a duration has a unit: `10ms`, `10s`, `10m`, `10h` or `10d`
",
    );
}

#[test]
fn panels() {
    check(
        r"feeds:
  f: { sql: SELECT 1 }
dashboards:
  d:
    panels:
      - { feed: ff, type: table, span: 13 }
      - { feed: banana, type: line, x: [a], y: {}, series: '' }
      - { feed: f, type: lines }
      - { feed: f, type: line, x: a, y: [b, b], unit: , span: 0 }
      - { feed: f, type: table, columns: a }
",
        r"
t.yaml:6:17: `feed`: there is no feed `ff`
  did you mean `f`?
t.yaml:6:40: `span`: 13 is too much; the most is 12
t.yaml:7:17: `feed`: there is no feed `banana`
  the feeds are `f`
t.yaml:7:40: `x`: expected a name, found a list
t.yaml:7:48: `y`: expected a list, found a map
  begin each item with `- `
t.yaml:7:60: `series`: expected a name, found an empty text
  a name has 1 to 64 letters a to z, digits and `_`, and no digit first
t.yaml:8:26: `type`: expected one of `line`, `area`, `bar`, `stat`, `gauge`, `table`, found `lines`
  did you mean `line`?
t.yaml:9:45: `y`: `b` is named twice
t.yaml:9:53: `unit`: expected a text, found nothing
t.yaml:9:63: `span`: 0 is too little; the least is 1
t.yaml:10:42: `columns`: expected a list, found `a`
  write `[a]`
",
    );
    check(
        r"feeds:
  load: { sql: }
dashboards: { d: { panels: [{ feed: load, type: table }] } }
",
        r"
t.yaml:2:14: `sql`: expected SQL, found nothing
",
    );
    check(
        r"dashboards: { d: { panels: [{ feed: load, type: table }] } }
",
        r"
t.yaml:1:37: `feed`: there is no feed `load`
  there are no feeds
",
    );
}

#[test]
fn listen_and_origins() {
    check(
        r"listen: 0.0.0.0:8080
cors: ['*', https://a.org/, http://A.org, https://a.org:443, a.org, 'https://']
",
        r"
t.yaml:1:9: `listen`: `0.0.0.0:8080` can be reached from other machines, and nothing here asks who calls
  listen on 127.0.0.1, or write `insecure: true` where a proxy or a private network keeps strangers out
t.yaml:2:8: `cors`: expected an origin such as `https://example.org`, found `*`
  name each origin in full; there is no wildcard
t.yaml:2:13: `cors`: expected an origin such as `https://example.org`, found `https://a.org/`
  an origin ends with its host and port: no path, no `/` at the end
t.yaml:2:29: `cors`: expected an origin such as `https://example.org`, found `http://A.org`
  browsers send origins in small letters
t.yaml:2:43: `cors`: expected an origin such as `https://example.org`, found `https://a.org:443`
  browsers leave out the port that is usual for the scheme
t.yaml:2:62: `cors`: expected an origin such as `https://example.org`, found `a.org`
  write the scheme too: `https://example.org`
t.yaml:2:69: `cors`: expected an origin such as `https://example.org`, found `https://`
  write the scheme too: `https://example.org`
",
    );
    check(
        r"listen: 8080
",
        r"
t.yaml:1:9: `listen`: expected an IP address and a port, found `8080`
  write `127.0.0.1:8080` for this machine alone, `0.0.0.0:8080` for all addresses of this machine
",
    );
    check(
        r"listen: example.org:80
",
        r"
t.yaml:1:9: `listen`: expected an IP address and a port, found `example.org:80`
  write `127.0.0.1:80` for this machine alone, `0.0.0.0:80` for all addresses of this machine
",
    );
    check(
        r"listen: 127.0.0.1
",
        r"
t.yaml:1:9: `listen`: expected an IP address and a port, found `127.0.0.1`
  write `127.0.0.1:8080` for this machine alone, `0.0.0.0:8080` for all addresses of this machine
",
    );
    check(
        r"listen: '[::]:99999'
",
        r"
t.yaml:1:9: `listen`: expected an IP address and a port, found `[::]:99999`
  a port is a number up to 65535
",
    );
}

#[test]
fn limits_against_each_other() {
    check(
        r"limits: { max_body: 128MiB }
",
        r"
t.yaml:1:21: `max_body` (128MiB) is more than `max_unpacked_body` (64MiB)
  a plain body is its own unpacking
",
    );
    check(
        r"limits: { max_pending: 1MiB }
",
        r"
t.yaml:1:24: `max_unpacked_body` (64MiB) is more than `max_pending` (1MiB)
  a body that never fits among what is pending could never be accepted
",
    );
    check(
        r"limits: { max_record: 100MiB, max_unpacked_body: 32MiB }
",
        r"
t.yaml:1:23: `max_record` (100MiB) is more than `max_unpacked_body` (32MiB)
  a record comes in a body
",
    );
}

#[test]
fn files() {
    check(
        r#"streams:
  a: { source: { type: file, path: a.parquet, follow: true }, schema: { a: text } }
  b: { source: { type: file, path: b.parquet.gz }, schema: { a: text } }
  c: { source: { type: file, path: "c/[.csv" }, schema: { a: text } }
  d: { source: { type: file, path: d.log.gz }, schema: { a: text } }
"#,
        r"
t.yaml:2:55: `follow`: a Parquet file does not grow
  follow a pattern, whose files come one by one: `path: events/*.parquet`
t.yaml:3:36: `path`: a Parquet file is not read packed
  Parquet packs its own pages; write `compression: zstd` where the file is made
t.yaml:4:36: `path`: `c/[.csv` is no pattern: invalid range pattern
  `*` is any text, `?` any letter, `[ab]` one of these, `**` any folders
t.yaml:5:36: `path`: the ending of `d.log.gz` does not tell its format
  write `format: ndjson`, `format: csv` or `format: parquet` beside `source:`
",
    );
}
