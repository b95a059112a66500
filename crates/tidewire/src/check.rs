//! `tidewire check` and `tidewire schema`.

use std::path::Path;

use config::{Config, Problem};
use query::Plan;

use crate::{
    cli::CheckOptions,
    report::{Failure, count},
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
    let (config, plans) = load(&options.config)?;
    println!(
        "{}: fine ({}, {}, {})",
        options.config.display(),
        count(config.written_streams(), "stream"),
        count(plans.len(), "feed"),
        count(config.dashboards.len(), "dashboard")
    );
    for plan in &plans {
        let feed = plan.output();
        let columns: Vec<String> = feed.schema.columns.iter().map(|c| format!("{} {}", c.name, c.data_type)).collect();
        println!("  feed {}: key ({}), {}", feed.name, names(feed.key()), columns.join(", "));
    }
    Ok(())
}

fn names(columns: &[model::Column]) -> String {
    columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn schema() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&config::json_schema())
        .map_err(|e| Failure::new(format!("the schema cannot be printed: {e}")))?;
    println!("{text}");
    Ok(())
}
