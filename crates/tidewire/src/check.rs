//! `tidewire check` and `tidewire schema`.

use config::{Config, Problem};
use model::FeedSchema;
use query::Plan;
use serde_json::{Value, json};

use crate::{
    cli::CheckOptions,
    report::{Failure, count, print, print_json},
};

/// Loads and plans what the options say; every problem of both at once.
pub(crate) fn load_with(options: &config::Options) -> Result<(Config, Vec<Plan>), Vec<Problem>> {
    plan(config::load_with(options, &|name| std::env::var(name).ok())?)
}

pub(crate) fn plan(config: Config) -> Result<(Config, Vec<Plan>), Vec<Problem>> {
    let config = config.with_dead_letters();
    let plans = engine::plan::plan(&config)?;
    Ok((config, plans))
}

pub(crate) fn check(options: &CheckOptions) -> Result<(), Failure> {
    let checked = load_with(&config::Options::of(&options.config));
    if options.json {
        let (feeds, problems) = match &checked {
            Ok((_, plans)) => (plans.iter().map(|plan| feed_json(plan.output())).collect(), Vec::new()),
            Err(problems) => (Vec::new(), problems.iter().map(problem_json).collect()),
        };
        print_json(&json!({ "ok": checked.is_ok(), "feeds": feeds, "problems": problems }))?;
        // They are told above.
        return checked.map(drop).map_err(|problems| Failure::new(count(problems.len(), "problem")));
    }
    let (config, plans) = checked.map_err(|p| Failure::problems(&p))?;
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
