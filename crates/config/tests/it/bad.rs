//! Files that do not load: what is wrong with them, word for word.

use crate::problems;

/// Compares with the output of `tidewire check`; both begin on a line of their own.
pub(crate) fn check(text: &str, expected: &str) {
    assert_eq!(problems(text), expected.strip_prefix('\n').unwrap_or(expected), "{text}");
}

#[test]
fn a_misspelt_key() {
    check(
        r"listn: 127.0.0.1:80
banana: 1
sinks: {}
",
        r"
t.yaml:1:1: unknown key `listn` in the configuration
  did you mean `listen`?
t.yaml:2:1: unknown key `banana` in the configuration
  the keys here are `listen`, `data_dir`, `durability`, `insecure`, `cors`, `limits`, `streams`, `feeds`, `dashboards`
t.yaml:3:1: unknown key `sinks` in the configuration
  not in this version: take it out
",
    );
    check(
        r"streams:
  s:
    sorce: { type: http }
    schema: { a: text }
    columns: {}
",
        r"
t.yaml:3:5: unknown key `sorce` in stream `s`
  did you mean `source`?
t.yaml:5:5: unknown key `columns` in stream `s`
  the columns of a stream stand under `schema:`
",
    );
    check(
        r"feeds:
  f: { sql: SELECT 1 }
dashboards:
  d:
    panels:
      - { feed: f, type: table, x: a, sapn: 3 }
      - { feed: f, type: line, x: a, y: b, columns: [c] }
",
        r"
t.yaml:6:33: unknown key `x` in the table panel
  a table panel names its columns under `columns`
t.yaml:6:39: unknown key `sapn` in the table panel
  did you mean `span`?
t.yaml:7:44: unknown key `columns` in the line panel
  columns are a table's; this panel names its own under `x`, `y` and `series`
",
    );
    check(
        r"limits: { max_conections: 5, 5: 6 }
",
        r"
t.yaml:1:11: unknown key `max_conections` in `limits`
  did you mean `max_connections`?
t.yaml:1:30: unknown key `5` in `limits`
  the keys here are `max_connections`, `max_connections_per_address`, `max_requests_per_second`, `max_requests_per_second_per_address`, `max_subscriptions`, `max_message`, `max_body`, `max_unpacked_body`, `max_record`, `max_header`, `header_timeout`, `body_timeout`, `ping_interval`, `max_pending`, `send_buffer`, `query_timeout`, `query_memory`, `query_rows`
",
    );
}

#[test]
fn sql_with_a_comma_in_braces() {
    check(
        r"feeds:
  f: { sql: SELECT metric, value FROM events }
",
        r"
t.yaml:2:28: unknown key `value FROM events` in feed `f`
  in braces a comma ends a value: quote the whole value, or write it below `|`
",
    );
}

#[test]
fn a_misspelt_key_is_one_problem() {
    check(
        r"streams:
  s:
    source: { type: http }
    shema: { a: text, ts: timestamp }
    event_time: { colum: ts }
  g:
    source: { type: generator, rat: 5, columns: { v: { uniform: [0, 1] }, w: { uniform: [1] } } }
    columns: { v: double }
    event_time: { column: ts, max_lateness: soon }
fedes:
  f: { slq: SELECT 1 }
dashboards:
  d: { panels: [{ fed: f, type: table }, { feed: f, type: line, columns: [x, y] }] }
listen: 0.0.0.0:80
insecur: true
",
        r"
t.yaml:4:5: unknown key `shema` in stream `s`
  did you mean `schema`?
t.yaml:5:19: unknown key `colum` in `event_time`
  did you mean `column`?
t.yaml:7:32: unknown key `rat` in the source
  did you mean `rate`?
t.yaml:7:89: `uniform`: expected a list of 2, found one of 1
t.yaml:8:5: unknown key `columns` in stream `g`
  the columns of a stream stand under `schema:`
t.yaml:9:45: `max_lateness`: expected a duration such as `10s`, found `soon`
  a whole number and one of the units `ms`, `s`, `m`, `h` and `d`
t.yaml:10:1: unknown key `fedes` in the configuration
  did you mean `feeds`?
t.yaml:13:19: unknown key `fed` in the table panel
  did you mean `feed`?
t.yaml:13:65: unknown key `columns` in the line panel
  columns are a table's; this panel names its own under `x`, `y` and `series`
t.yaml:15:1: unknown key `insecur` in the configuration
  did you mean `insecure`?
",
    );
    check(
        r"feeds:
  f: { query: SELECT 1 }
  g: { banana: SELECT 1 }
",
        r"
t.yaml:2:8: unknown key `query` in feed `f`
  write `sql`
t.yaml:3:6: feed `g`: `sql` is missing
  `sql:` the query
t.yaml:3:8: unknown key `banana` in feed `g`
  the keys here are `sql`, `key`, `delete_when`, `emit`, `refresh`, `keep`, `keep_rows`, `max_groups`, `max_group_state`, `max_memory`, `idle_ttl`
",
    );
}

#[test]
fn a_wrong_type() {
    check(
        r"listen: [a]
data_dir:
insecure: yes
cors: https://a
limits: 5
streams: [a]
",
        r"
t.yaml:1:9: `listen`: expected a text, found a list
t.yaml:2:9: `data_dir`: expected a text, found nothing
t.yaml:3:11: `insecure`: expected true or false, found `yes`
  write `true`
t.yaml:4:7: `cors`: expected a list, found `https://a`
  write `[https://a]`
t.yaml:5:9: `limits`: expected a map, found `5`
  it has lines such as `streams:`, and indented below each what belongs to it
t.yaml:6:10: expected a map of stream names, found a list
  begin each with its name, `name:`, instead of `-`
",
    );
    check(
        r"insecure: 'true'
durability: fsinc
limits: { max_connections: 1.5, max_subscriptions: '5', max_header: {} }
",
        r"
t.yaml:1:11: `insecure`: expected true or false, found `true`
  leave the quotes out
t.yaml:2:13: `durability`: expected one of `fsync`, `process`, found `fsinc`
  did you mean `fsync`?
t.yaml:3:28: `max_connections`: expected a whole number from 1, found `1.5`
  write figures alone, such as `80`
t.yaml:3:52: `max_subscriptions`: expected a whole number from 1, found `5`
  leave the quotes out
t.yaml:3:69: `max_header`: expected a size such as `64MiB`, found a map
",
    );
    check(
        r"streams:
  s:
    source: http
    schema: { a: string, b: [int], c: { type: bigit, not_null: 1 }, d: Timestamp, e: }
    event_time: ts
",
        r"
t.yaml:3:13: `source`: expected a map, found `http`
  write `source: { type: http }`
t.yaml:4:18: `a`: there is no type `string`
  did you mean `text`?
t.yaml:4:29: `b`: expected a type, found a list
t.yaml:4:47: `type`: there is no type `bigit`
  did you mean `bigint`?
t.yaml:4:64: `not_null`: expected true or false, found `1`
  write `true`
t.yaml:4:72: `d`: there is no type `Timestamp`
  did you mean `timestamp`?
t.yaml:4:84: `e`: expected a type, found nothing
t.yaml:5:17: `event_time`: expected a map, found `ts`
  write `event_time: { column: ts }`
",
    );
    check(
        r"feeds:
  f: SELECT 1
  g:
  h: { sql: [a], key: { a: b }, delete_when:  }
  i: { sql: '', key: [1a, true] }
",
        r"
t.yaml:2:6: feed `f`: expected a map, found a text
  write the query under `sql:`
t.yaml:3:4: feed `g`: expected a map of `sql`, `key`, `delete_when`, `emit`, `refresh`, `keep`, `keep_rows`, `max_groups`, `max_group_state`, `max_memory`, `idle_ttl`, found nothing
  indent below it what belongs to it, by two more spaces
t.yaml:4:13: `sql`: expected SQL, found a list
  write `sql: |` and the SQL below it, so that YAML takes it as it is
t.yaml:4:23: `key`: expected a list, found a map
  begin each item with `- `
t.yaml:4:44: `delete_when`: expected SQL, found nothing
t.yaml:5:13: `sql`: expected SQL, found nothing
t.yaml:5:23: `key`: expected a name, found `1a`
  write `_1a`; a name has 1 to 64 letters a to z, digits and `_`, and no digit first
t.yaml:5:27: `key`: expected a name, found `true`
  a name has 1 to 64 letters a to z, digits and `_`, and no digit first
",
    );
    check(
        r"- a
- b
",
        r"
t.yaml:1:1: the configuration: expected a map, found a list
  begin each with its name, `name:`, instead of `-`
",
    );
    check(
        r"just text
",
        r"
t.yaml:1:1: the configuration: expected a map, found `just text`
  it has lines such as `streams:`, and indented below each what belongs to it
",
    );
}

#[test]
fn units() {
    check(
        r"limits: { header_timeout: 10, body_timeout: 10sec, ping_interval: 1.5m, max_body: 16MB, max_record: many, max_header: '16384' }
",
        r"
t.yaml:1:27: `header_timeout`: expected a duration such as `10s`, found `10`
  a duration has a unit: `10ms`, `10s`, `10m`, `10h` or `10d`
t.yaml:1:45: `body_timeout`: expected a duration such as `10s`, found `10sec`
  the unit is written `s`
t.yaml:1:67: `ping_interval`: expected a duration such as `10s`, found `1.5m`
  a whole number and one of the units `ms`, `s`, `m`, `h` and `d`
t.yaml:1:83: `max_body`: expected a size such as `64MiB`, found `16MB`
  the unit is written `MiB`
t.yaml:1:101: `max_record`: expected a size such as `64MiB`, found `many`
  a whole number, with or without one of the units `B`, `KiB`, `MiB`, `GiB` and `TiB`
t.yaml:1:119: `max_header`: expected a size such as `64MiB`, found `16384`
  leave the quotes out
",
    );
    check(
        r"streams:
  s:
    source: { type: http }
    schema: { a: text, v: double, ts: timestamp }
    event_time: { column: ts, max_lateness: soon, max_ahead: 5, idle_timeout: 0s }
    retention: 3 weeks
    retention_bytes: 1.5GiB
",
        r"
t.yaml:5:45: `max_lateness`: expected a duration such as `10s`, found `soon`
  a whole number and one of the units `ms`, `s`, `m`, `h` and `d`
t.yaml:5:62: `max_ahead`: expected a duration such as `10s`, or `off`, found `5`
  a duration has a unit: `5ms`, `5s`, `5m`, `5h` or `5d`
t.yaml:5:79: `idle_timeout`: 0s is too little; the least is 1ms
t.yaml:6:16: `retention`: expected a duration such as `10s`, found `3 weeks`
  the units are `ms`, `s`, `m`, `h` and `d`
t.yaml:7:22: `retention_bytes`: expected a size such as `64MiB`, found `1.5GiB`
  a whole number, with or without one of the units `B`, `KiB`, `MiB`, `GiB` and `TiB`
",
    );
    check(
        r"limits: { header_timeout: 1ms, body_timeout: 100d, max_body: 1B, max_record: 5TiB, max_connections: 0, max_subscriptions: 18446744073709551616 }
",
        r"
t.yaml:1:27: `header_timeout`: 1ms is too little; the least is 100ms
t.yaml:1:46: `body_timeout`: 100d is too much; the most is 1d
t.yaml:1:62: `max_body`: 1B is too little; the least is 1KiB
t.yaml:1:78: `max_record`: 5TiB is too much; the most is 1GiB
t.yaml:1:101: `max_connections`: 0 is too little; the least is 1
t.yaml:1:123: `max_subscriptions`: 18446744073709551616 is too much; the most is 100000
",
    );
}

#[test]
fn names() {
    check(
        r"streams:
  my-events: { source: { type: http }, schema: { 1a: text, 'a b': int } }
  ''  : { source: { type: http }, schema: { a: text } }
",
        r"
t.yaml:2:3: `my-events` cannot be the name of a stream
  write `my_events`; a name has 1 to 64 letters a to z, digits and `_`, and no digit first
t.yaml:2:50: `1a` cannot be the name of a column
  write `_1a: { type: …, from: '1a' }`; a name has 1 to 64 letters a to z, digits and `_`, and no digit first
t.yaml:2:60: `a b` cannot be the name of a column
  write `a_b: { type: …, from: 'a b' }`; a name has 1 to 64 letters a to z, digits and `_`, and no digit first
t.yaml:3:3: `` cannot be the name of a stream
  a name has 1 to 64 letters a to z, digits and `_`, and no digit first
",
    );
    check(
        r"feeds:
  f: { sql: SELECT 1 }
dashboards:
  'a/b': { panels: [{ feed: f, type: table }] }
",
        r"
t.yaml:4:3: `a/b` cannot be the name of a dashboard
  write `a_b`; a dashboard's name has 1 to 64 letters a to z, digits, `_` and `-`
",
    );
    check(
        r"feeds:
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: { sql: SELECT 1 }
",
        r"
t.yaml:2:3: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` cannot be the name of a feed
  a name has 1 to 64 letters a to z, digits and `_`, and no digit first
",
    );
}

#[test]
fn two_of_a_name() {
    check(
        r"feeds:
  load: { sql: SELECT 1 }
  load: { sql: SELECT 2 }
feeds: {}
",
        r"
t.yaml:3:3: feed `load` is defined twice; first at t.yaml:2:3
  give one of them another name, or take it out
t.yaml:4:1: `feeds` is given twice; first at t.yaml:1:1
  only one of the two can hold: take the other out
",
    );
    check(
        r"streams:
  s:
    source: { type: http }
    source: { type: http }
    schema: { a: text, a: int }
",
        r"
t.yaml:4:5: `source` is given twice; first at t.yaml:3:5
  only one of the two can hold: take the other out
t.yaml:5:24: column `a` is defined twice; first at t.yaml:5:15
  give one of them another name, or take it out
",
    );
}

#[test]
fn what_is_missing() {
    check(
        r"streams:
  s: {}
  t: { source: {}, schema: {} }
  u:
feeds:
  f: { keep: 1h }
dashboards:
  d: { title: x }
  e: { panels: [] }
  g: { panels: [{}, { type: line }, { type: table }, 5] }
",
        r"
t.yaml:2:6: stream `s`: `source` is missing
  `source:` where its events come from
t.yaml:2:6: stream `s`: `schema` is missing
  `schema:` its columns: a type each, or a map of `type`, `from` and `not_null`
t.yaml:3:16: `source`: `type` is missing
  the types are `http`, `file`, `generator`, `host`
t.yaml:3:28: `schema`: expected columns, found none
  write `value: double`
t.yaml:4:4: stream `u`: expected a map of `source`, `schema`, `event_time`, `format`, `retention`, `retention_bytes`, `max_events_per_second`, `max_pending`, found nothing
  indent below it what belongs to it, by two more spaces
t.yaml:6:6: feed `f`: `sql` is missing
  `sql:` the query
t.yaml:8:6: dashboard `d`: `panels` is missing
  `panels:` its panels, in order, from left to right and from top to bottom
t.yaml:9:16: `panels`: expected a list of 1 to 200, found one of 0
t.yaml:10:17: the panel: `type` is missing
  the types are `line`, `area`, `bar`, `stat`, `gauge`, `table`
t.yaml:10:21: the line panel: `feed` is missing
  `feed:` the feed that it shows
t.yaml:10:21: the line panel: `x` is missing
  `x:` the column along the x axis
t.yaml:10:21: the line panel: `y` is missing
  `y:` the column or columns along the y axis
t.yaml:10:37: the table panel: `feed` is missing
  `feed:` the feed that it shows
t.yaml:10:54: `panels`: expected a map for each panel, found `5`
  write `- { feed: load, type: table }`
",
    );
}

#[test]
fn variables() {
    check(
        r"listen: ${HOST}:${PORT}
data_dir: ${a b}
cors: ['${X']
feeds:
  f:
    sql: |
      SELECT 1
      FROM ${TABLE}
    keep: ${KEEP}
",
        r"
t.yaml:1:9: the environment variable `HOST` is not set
  set it, or give a default: `${HOST:-default}`
t.yaml:1:9: the environment variable `PORT` is not set
  set it, or give a default: `${PORT:-default}`
t.yaml:2:11: `a b` is no name of an environment variable
  a variable is written `${NAME}`, and a dollar sign before a brace `$$`
t.yaml:3:8: `${` without its `}`
  a dollar sign is written `$$`
t.yaml:8:7: the environment variable `TABLE` is not set
  set it, or give a default: `${TABLE:-default}`
t.yaml:9:11: the environment variable `KEEP` is not set
  set it, or give a default: `${KEEP:-default}`
",
    );
}

#[test]
fn what_is_not_yaml() {
    check(
        r"streams:
  s: { a: 1
feeds: x
",
        r"
t.yaml:3:6: not YAML: while parsing a flow mapping, did not find expected ',' or '}'
  look for a bracket that is not closed, here or above
",
    );
    check(
        r"a: b: c
",
        r"
t.yaml:1:5: not YAML: mapping values are not allowed in this context
  look at the indentation; a text with a colon and a space in it goes in quotes, or below `|`
",
    );
    check(
        r#"listen: "x
"#,
        r"
t.yaml:1:9: not YAML: unclosed quote
  look for a quote that is not closed, here or above
",
    );
    check(
        r"a: *b
",
        r"
t.yaml:1:4: not YAML: while parsing node, found unknown anchor
  a text that begins with a sign such as `*`, `&`, `%` or `@` goes in quotes
",
    );
    check(
        r"a: !!int 5
",
        r"
t.yaml:1:10: the tag `!!int` is not understood
  leave it out; a text that looks like a number goes in quotes
",
    );
    check(
        r"a: 1
---
b: 2
",
        r"
t.yaml:2:1: a second document begins here
  a file holds one document; put the other into a file of its own
",
    );
    check(
        r"? [a]
: b
",
        r"
t.yaml:1:3: a key is a list or a map here
  a key is a name, followed by a colon
",
    );
    check(
        "a:\n\t- b\n",
        r"
t.yaml:2:2: not YAML: tabs disallowed within this context (block indentation)
  indent with spaces
",
    );
    check(
        "\0",
        r"
t.yaml:1:1: not YAML: unexpected character: `\u{0}'
  is this a text file, saved as UTF-8?
",
    );
    check(
        r"listen: @x
",
        r"
t.yaml:1:9: not YAML: unexpected character: `@'
  a text that begins with a sign such as `*`, `&`, `%` or `@` goes in quotes
",
    );
}

#[test]
fn messages_repeat_little() {
    check(
        r#"durability: "a\nb\u0007`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
"#,
        r"
t.yaml:1:13: `durability`: expected one of `fsync`, `process`, found `a\nb\u{7}`xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`
",
    );
}

#[test]
fn behind_aliases_once() {
    check(
        r"feeds:
  f: &f { sql: SELECT 1, keep: 5 }
  g: *f
",
        r"
t.yaml:2:32: `keep`: expected a duration such as `10s`, found `5`
  a duration has a unit: `5ms`, `5s`, `5m`, `5h` or `5d`
",
    );
}

#[test]
fn types_of_columns() {
    check(
        r"streams:
  s:
    source: { type: http }
    schema:
      a: decimal
      b: decimal(39,2)
      c: numeric(10, 2)
      d: varchar(20)
      e: { type: decimal(10,2), not_null: true }
      f: string[]
      g: numeric
      h: colour
",
        r#"
t.yaml:5:10: `a`: `decimal` does not say its digits
  a decimal says how many digits it has, and how many of them behind the point: `decimal(18,2)`
t.yaml:6:10: `b`: there is no `decimal(39,2)`
  a decimal has 1 to 38 digits in all, and no more behind the point than in all
t.yaml:7:10: `c`: there is no type `numeric(10, 2)`
  did you mean `decimal(10,2)`?
t.yaml:8:10: `d`: there is no type `varchar(20)`
  did you mean `text`?
t.yaml:9:18: `type`: `decimal(10` is no type
  a comma in braces needs quotes: `"decimal(18,2)"`
t.yaml:9:29: unknown key `2)` in column `e`
  the keys here are `type`, `from`, `not_null`
t.yaml:10:10: `f`: there is no type `string[]`
  did you mean `text[]`?
t.yaml:11:10: `g`: there is no type `numeric`
  did you mean `decimal(p,s)`?
t.yaml:12:10: `h`: there is no type `colour`
  the types are `text`, `bigint`, `int`, `double`, `decimal(p,s)`, `boolean`, `timestamp`, `date`, `bytes`, `text[]`, `json`
"#,
    );
    check(
        r"streams:
  s:
    schema: { b: bytes }
    source: { type: generator, rate: 1 }
",
        r"
t.yaml:4:13: `columns`: nothing says what `b` gets
  a generator makes no bytes: leave the column out
",
    );
}
