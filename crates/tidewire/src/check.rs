//! `tidewire check` and `tidewire schema`.

use std::path::Path;

use config::{Config, Problem};
use model::FeedSchema;
use query::Plan;
use serde_json::{Value, json};

use crate::{
    cli::CheckOptions,
    report::{Failure, count, print, print_json},
};

/// Loads and plans a configuration; every problem of both at once.
pub(crate) fn load(path: &Path) -> Result<(Config, Vec<Plan>), Failure> {
    load_with(&config::Options::of(path)).map_err(|p| Failure::problems(&p))
}

/// Loads what the options say.
pub(crate) fn load_with(options: &config::Options) -> Result<(Config, Vec<Plan>), Vec<Problem>> {
    plan(config::load_with(options, &|name| std::env::var(name).ok())?)
}

pub(crate) fn plan(config: Config) -> Result<(Config, Vec<Plan>), Vec<Problem>> {
    let config = config.with_dead_letters();
    let plans = engine::plan::plan(&config)?;
    Ok((config, plans))
}

pub(crate) fn check(options: &CheckOptions) -> Result<(), Failure> {
    if options.json {
        return check_json(options);
    }
    let (config, plans) = load(&options.config)?;
    let mut lines = vec![format!(
        "{}: fine ({}, {}, {})",
        options.config.display(),
        count(config.written_streams(), "stream"),
        count(plans.len(), "feed"),
        count(config.dashboards.len(), "dashboard")
    )];
    for plan in &plans {
        let feed = plan.output();
        let columns: Vec<String> = feed.schema.columns.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect();
        lines.push(format!("  feed {}: key ({}), {}", feed.name, names(feed.key()), columns.join(", ")));
    }
    print(lines.join("\n"))
}

/// One object, whether all is well or not: `problems` is empty if it is.
fn check_json(options: &CheckOptions) -> Result<(), Failure> {
    let checked = config::load(&options.config, &|name| std::env::var(name).ok()).and_then(|config| {
        let config = config.with_dead_letters();
        engine::plan::plan(&config)
    });
    let (feeds, problems) = match &checked {
        Ok(plans) => (plans.iter().map(|plan| feed_json(plan.output())).collect(), Vec::new()),
        Err(problems) => (Vec::new(), problems.iter().map(problem_json).collect()),
    };
    print_json(&json!({ "ok": checked.is_ok(), "feeds": feeds, "problems": problems }))?;
    match checked {
        Ok(_) => Ok(()),
        Err(problems) => Err(Failure::new(count(problems.len(), "problem"))),
    }
}

fn feed_json(feed: &FeedSchema) -> Value {
    let columns: Vec<Value> =
        feed.schema.columns.iter().map(|c| json!({ "name": c.name, "type": c.data_type })).collect();
    let key: Vec<&str> = feed.key().iter().map(|c| c.name.as_str()).collect();
    json!({ "name": feed.name, "key": key, "columns": columns })
}

fn problem_json(problem: &Problem) -> Value {
    let place = problem.place.as_ref();
    json!({
        "file": place.map(|p| p.file.display().to_string()),
        "line": place.map(|p| p.line),
        "column": place.map(|p| p.column),
        "message": problem.message,
        "hint": problem.hint,
    })
}

fn names(columns: &[model::Column]) -> String {
    columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn schema() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&config::json_schema())
        .map_err(|e| Failure::new(format!("the schema cannot be printed: {e}")))?;
    print(text)
}
