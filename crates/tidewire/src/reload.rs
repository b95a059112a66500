//! Another configuration while the server runs. Dashboards, limits and origins hold at once;
//! whatever else has changed is named, and needs a restart. One that is wrong is refused with
//! every place, and the old one goes on.
//!
//! The files are looked at once a second rather than watched: that sees a mounted directory,
//! one that is swapped by a symbolic link, and an editor that writes a new file, all alike,
//! for a few calls of stat(2).

use std::{
    collections::BTreeMap,
    fmt::Debug,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use config::{Config, Dashboard, Feed, Limits, Place, Problem, Stream};
use metrics::{counter, gauge};
use model::metric;
use query::Plan;
use serve::Settings;
use tokio::{
    signal::unix::Signal,
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use crate::{check, report::count};

/// How often the files are looked at. They are read once they have been quiet as long, so
/// that nobody's half-written file is taken.
const LOOK: Duration = Duration::from_secs(1);

/// What a configuration was loaded with, and how its files stood before they were read: what
/// is written to them meanwhile is a change.
pub(crate) struct Loaded {
    options: config::Options,
    files: Stamps,
}

impl Loaded {
    /// For files that are about to be read.
    pub(crate) fn with(options: config::Options) -> Self {
        Self { files: stamps(&options.paths), options }
    }

    /// What to load.
    pub(crate) fn options(&self) -> &config::Options {
        &self.options
    }
}

/// What is loaded, what of it runs, and where changes go.
pub(crate) struct Reload {
    loaded: Loaded,
    running: Arc<Config>,
    changes: mpsc::Sender<Settings>,
    hang_up: Signal,
    /// What the last log line said needs a restart; said once.
    said: Vec<String>,
}

impl Reload {
    /// For a server that runs `running`.
    pub(crate) fn new(loaded: Loaded, running: Config, changes: mpsc::Sender<Settings>, hang_up: Signal) -> Self {
        register();
        Self { loaded, running: Arc::new(running), changes, hang_up, said: Vec::new() }
    }

    /// Loads again at each SIGHUP and change of the files, until the server is gone.
    pub(crate) async fn run(mut self) {
        let mut clock = interval(LOOK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = self.loaded.files.clone();
        loop {
            let asked = tokio::select! {
                hung_up = self.hang_up.recv() => hung_up.is_some(),
                _ = clock.tick() => false,
                () = self.changes.closed() => return,
            };
            let now = stamps(&self.loaded.options.paths);
            let quiet = std::mem::replace(&mut seen, now.clone()) == now;
            if asked || (quiet && now != self.loaded.files) {
                self.loaded.files = now;
                self.load(asked).await;
            }
        }
    }

    async fn load(&mut self, asked: bool) {
        let (options, running) = (self.loaded.options.clone(), Arc::clone(&self.running));
        // Planning SQL takes a while.
        let loading = tokio::task::spawn_blocking(move || {
            let (config, plans) = check::load_with(&options)?;
            Ok::<_, Vec<Problem>>(compare(&running, &config, &plans))
        });
        match loading.await {
            Ok(Ok(compared)) => self.take(compared, asked).await,
            Ok(Err(problems)) => refuse(&problems),
            Err(error) => tracing::error!("the configuration cannot be loaded: {error}"),
        }
    }

    async fn take(&mut self, compared: Compared, asked: bool) {
        let Compared { limits, cors, dashboards, changed, restart } = compared;
        counter!(metric::CONFIG_RELOADS, "result" => "applied").increment(1);
        gauge!(metric::CONFIG_LAST_RELOAD_OK).set(1.0);
        gauge!(metric::CONFIG_RESTART_NEEDED).set(if restart.is_empty() { 0.0 } else { 1.0 });
        if !changed.is_empty() {
            let running = Config {
                limits: limits.clone(),
                cors: cors.clone(),
                dashboards: dashboards.clone(),
                ..(*self.running).clone()
            };
            self.running = Arc::new(running);
            // Closed only when the server ends.
            let _ = self.changes.send(Settings { limits, cors, dashboards }).await;
            tracing::info!("the configuration was loaded again: {}", changed.join(", "));
        } else if asked && restart.is_empty() {
            tracing::info!("the configuration was loaded again: nothing has changed");
        }
        if !restart.is_empty() && (asked || restart != self.said) {
            tracing::warn!("needs a restart, until then it is as before: {}", restart.join(", "));
        }
        self.said = restart;
    }
}

/// Says that nothing was reloaded yet.
pub(crate) fn register() {
    for result in ["applied", "refused"] {
        counter!(metric::CONFIG_RELOADS, "result" => result).increment(0);
    }
    gauge!(metric::CONFIG_LAST_RELOAD_OK).set(1.0);
    gauge!(metric::CONFIG_RESTART_NEEDED).set(0.0);
}

/// Tells every problem, a line each, and that the old configuration goes on.
fn refuse(problems: &[Problem]) {
    counter!(metric::CONFIG_RELOADS, "result" => "refused").increment(1);
    gauge!(metric::CONFIG_LAST_RELOAD_OK).set(0.0);
    for problem in problems {
        tracing::error!("{}", problem.to_string().replace("\n  ", "; "));
    }
    tracing::error!("the configuration is refused ({}); the old one goes on", count(problems.len(), "problem"));
}

/// What identifies the state of each file, as far as that can be seen from outside.
type Stamps = BTreeMap<PathBuf, (u64, u64, i64, i64)>;

fn stamps(paths: &[PathBuf]) -> Stamps {
    let stamp =
        |path: &Path| fs::metadata(path).map_or((0, 0, 0, 0), |m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec()));
    paths.iter().flat_map(|path| config::files(path)).map(|path| (path.clone(), stamp(&path))).collect()
}

/// What a configuration says other than the one that runs.
struct Compared {
    limits: Limits,
    cors: Vec<String>,
    dashboards: Vec<Dashboard>,
    /// What holds at once, for a person.
    changed: Vec<String>,
    /// What needs a restart, for a person.
    restart: Vec<String>,
}

fn compare(running: &Config, new: &Config, plans: &[Plan]) -> Compared {
    let mut changed = Vec::new();
    let mut restart = Vec::new();
    for (name, differs) in [
        ("listen", running.listen != new.listen),
        ("data_dir", running.data_dir != new.data_dir),
        ("durability", running.durability != new.durability),
        ("insecure", running.insecure != new.insecure),
    ] {
        if differs {
            restart.push(format!("`{name}`"));
        }
    }
    let streams = |config: &Config| config.streams.iter().filter(|s| !s.is_implied()).map(stream).collect();
    let feeds = |config: &Config| config.feeds.iter().map(feed).collect();
    let other_streams = differences("stream", &streams(running), &streams(new), &mut restart);
    let mut other = differences("feed", &feeds(running), &feeds(new), &mut restart);
    // Of another stream a feed may have other columns.
    let reads = plans.iter().filter(|plan| other_streams.iter().any(|stream| stream == plan.stream()));
    other.extend(reads.map(|plan| plan.output().name.clone()));

    let limits = Limits {
        // The engine and its decoders were made with these.
        max_pending: running.limits.max_pending,
        max_record: running.limits.max_record,
        ..new.limits.clone()
    };
    for (name, differs) in [
        ("limits.max_pending", limits.max_pending != new.limits.max_pending),
        ("limits.max_record", limits.max_record != new.limits.max_record),
    ] {
        if differs {
            restart.push(format!("`{name}`"));
        }
    }
    if limits != running.limits {
        changed.push("`limits`".to_owned());
    }
    if new.cors != running.cors {
        changed.push("`cors`".to_owned());
    }

    // A dashboard of a feed that is not there yet, or is another one, comes with it.
    let waits = |d: &Dashboard| d.panels.iter().any(|panel| other.contains(&panel.feed));
    let old = |name: &str| running.dashboards.iter().find(|d| d.name == name);
    let mut dashboards = Vec::new();
    for dashboard in &new.dashboards {
        let old = old(&dashboard.name);
        let differs = old.is_none_or(|old| shown(old) != shown(dashboard));
        if differs && waits(dashboard) {
            restart.push(format!("dashboard `{}`", dashboard.name));
            dashboards.extend(old.cloned());
            continue;
        }
        if differs {
            changed.push(format!("dashboard `{}`{}", dashboard.name, if old.is_none() { " (new)" } else { "" }));
        }
        dashboards.push(dashboard.clone());
    }
    let gone = running.dashboards.iter().filter(|old| dashboards.iter().all(|d| d.name != old.name));
    changed.extend(gone.map(|old| format!("dashboard `{}` (gone)", old.name)));
    let names = |all: &[Dashboard]| all.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
    if changed.is_empty() && names(&dashboards) != names(&running.dashboards) {
        changed.push("the order of dashboards".to_owned());
    }
    Compared { limits, cors: new.cors.clone(), dashboards, changed, restart }
}

/// Names what is new, gone or another, and gives the names back.
fn differences(
    what: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
    told: &mut Vec<String>,
) -> Vec<String> {
    let mut names = Vec::new();
    for (name, text) in new {
        let how = match old.get(name) {
            None => " (new)",
            Some(old) if old != text => "",
            Some(_) => continue,
        };
        told.push(format!("{what} `{name}`{how}"));
        names.push(name.clone());
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        told.push(format!("{what} `{name}` (gone)"));
        names.push(name.clone());
    }
    names
}

/// All that a stream is, save where it is written.
fn stream(stream: &Stream) -> (String, String) {
    (stream.name.clone(), text(&Stream { place: nowhere(), ..stream.clone() }))
}

/// All that a feed is, save where it is written.
fn feed(feed: &Feed) -> (String, String) {
    let mut plain = Feed { place: nowhere(), key_place: None, ..feed.clone() };
    plain.sql.lines.clear();
    if let Some(sql) = &mut plain.delete_when {
        sql.lines.clear();
    }
    (feed.name.clone(), text(&plain))
}

/// All that a dashboard is: what clients are shown of it has no places.
fn shown(dashboard: &Dashboard) -> String {
    // Text keys and plain values: it cannot fail.
    serde_json::to_string(dashboard).unwrap_or_default()
}

/// Every field, those that come later included: what is forgotten in a comparison would be
/// a change that nobody is told of.
fn text(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn nowhere() -> Place {
    Place { file: PathBuf::new(), line: 0, column: 0 }
}
