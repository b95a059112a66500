//! From a configuration to planned feeds: what `tidewire check` runs, and what a
//! start begins with.

use config::{Combine, Config, Problem, advice};
use model::{Column, DataType, Schema};
use query::{FeedDef, Part, Plan, QueryError, StreamDef};

/// `max_memory` in parts: a fifth for deleted keys, the rest for groups and rows. Both hold
/// about as much of a group.
pub(crate) const FIFTHS: u64 = 5;
const OF_GROUPS: u64 = 2;

/// What of `max_memory` is for rows.
pub(crate) fn row_bytes(plan: &Plan, feed: &config::Feed) -> u64 {
    let of_rows = if plan.stateless() { FIFTHS - 1 } else { FIFTHS - 1 - OF_GROUPS };
    feed.max_memory / FIFTHS * of_rows
}

/// A stream's schema, as queries see it.
pub fn stream_schema(stream: &config::Stream) -> Schema {
    let event_time = stream.event_time.as_ref().map(|t| t.column.as_str());
    let columns = stream.columns.iter().map(|c| Column {
        name: c.name.clone(),
        data_type: c.data_type,
        nullable: !(c.not_null || Some(c.name.as_str()) == event_time),
    });
    Schema::new(columns.collect())
}

/// Plans every feed, in the configuration's order; every problem at once.
pub fn plan(config: &Config) -> Result<Vec<Plan>, Vec<Problem>> {
    let streams: Vec<StreamDef> = config
        .streams
        .iter()
        .map(|s| StreamDef {
            name: s.name.clone(),
            schema: stream_schema(s),
            event_time: s.event_time.as_ref().map(|t| t.column.clone()),
        })
        .collect();
    let mut plans = Vec::new();
    let mut problems = Vec::new();
    for feed in &config.feeds {
        match query::plan(&streams, &definition(feed)) {
            Ok(plan) => plans.push(plan),
            Err(errors) => problems.extend(errors.into_iter().map(|e| problem(config, feed, e))),
        }
    }
    for dashboard in &config.dashboards {
        for panel in &dashboard.panels {
            if let Some(plan) = plans.iter().find(|p| p.output().name == panel.feed) {
                check_panel(&dashboard.name, panel, plan, &mut problems);
            }
        }
    }
    if problems.is_empty() { Ok(plans) } else { Err(problems) }
}

fn definition(feed: &config::Feed) -> FeedDef {
    FeedDef {
        name: feed.name.clone(),
        sql: feed.sql.text.clone(),
        key: feed.key.clone(),
        delete_when: feed.delete_when.as_ref().map(|s| s.text.clone()),
        emit: match feed.emit {
            config::Emit::Changes => query::Emit::Changes,
            config::Emit::Final => query::Emit::Final,
        },
        refresh_ms: millis(feed.refresh),
        max_groups: feed.max_groups,
        max_group_state: feed.max_group_state,
        max_memory: feed.max_memory / FIFTHS * OF_GROUPS,
        idle_ttl_ms: millis(feed.idle_ttl),
    }
}

/// A duration as milliseconds; more than an `i64` holds is as good as forever.
pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Points an error of the query into the YAML file.
fn problem(config: &Config, feed: &config::Feed, error: QueryError) -> Problem {
    let text = match error.part {
        Part::DeleteWhen => feed.delete_when.as_ref(),
        Part::Sql => Some(&feed.sql),
        Part::Key => None,
    };
    let place = error.at.and_then(|(line, column)| text?.at(line, column));
    let whole = match error.part {
        Part::Key => feed.key_place.clone(),
        _ => text.and_then(|t| t.lines.first().cloned()),
    };
    Problem {
        place: place.or(whole).or_else(|| Some(feed.place.clone())),
        message: format!("feed `{}`: {}", feed.name, error.message),
        hint: match error.no_stream.and_then(|name| config.feeds.iter().find(|other| other.name == name)) {
            Some(other) => Some(format!("`{}` is a feed, and a feed reads a stream: repeat its SQL here", other.name)),
            None => error.hint,
        },
    }
}

/// A panel may only name columns that its feed has, and draw what can be drawn.
fn check_panel(dashboard: &str, panel: &config::Panel, plan: &Plan, problems: &mut Vec<Problem>) {
    let schema = &plan.output().schema;
    for named in &panel.named {
        let column = schema.index_of(&named.column).map(|i| &schema.columns[i]);
        let said = match column {
            None => {
                let names: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
                Some((
                    format!("`{}`: feed `{}` has no column `{}`", named.key, panel.feed, named.column),
                    advice(&named.column, "columns", &names)
                        .unwrap_or_else(|| format!("its columns are {}", names.join(", "))),
                ))
            }
            // What is counted need not be a number.
            Some(column)
                if ["y", "bars"].contains(&named.key)
                    && panel.combine != Combine::Count
                    && !is_number(column.data_type) =>
            {
                Some((
                    format!("`{}`: column `{}` is {}, not a number", named.key, column.name, column.data_type),
                    format!("`{}` needs int, bigint, double or decimal", named.key),
                ))
            }
            Some(_) => None,
        };
        problems.extend(said.map(|(message, hint)| Problem {
            place: Some(named.place.clone()),
            message: format!("dashboard `{dashboard}`, panel `{}`: {message}", panel.title),
            hint: Some(hint),
        }));
    }
}

fn is_number(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int | DataType::BigInt | DataType::Double | DataType::Decimal { .. })
}
