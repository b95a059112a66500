//! `tidewire serve` and `tidewire demo`.

use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use config::{Config, Durability};
use engine::Engine;
use query::Plan;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::{
    backend::EngineBackend,
    check,
    cli::{DemoOptions, ServeOptions},
    counts,
    log::{self, Told},
    reload::{self, Loaded, Reload},
    report::{Failure, count, print},
};

/// The demo's configuration.
const DEMO: &str = include_str!("demo.yaml");

/// How long flushing and the last checkpoint may take before the process ends anyway; with
/// the hub's 5 s for requests in flight it is out within 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(4);

pub(crate) fn demo(options: &DemoOptions, vfs: Option<&str>) -> Result<(), Failure> {
    if let Some(dir) = &options.write {
        return write_demo(dir);
    }
    let told = log::start(&options.log)?;
    let mut config = config::load_str(Path::new("demo.yaml"), DEMO, &|_| None).map_err(|p| Failure::problems(&p))?;
    config.listen.clone_from(&options.listen);
    config.data_dir.clone_from(&options.data_dir);
    let (config, plans) = check::plan(config).map_err(|p| Failure::problems(&p))?;
    run(&config, &plans, None, told, vfs)
}

/// Writes the demo's configuration down, unless there is one already.
fn write_demo(dir: &Path) -> Result<(), Failure> {
    let file = dir.join("tidewire.yaml");
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(format!("{}: is there already, and is kept; name another directory", file.display()))
        }
        _ => Failure::new(format!("{}: cannot be written: {e}", file.display())),
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut out = std::fs::File::create_new(&file).map_err(failed)?;
    out.write_all(DEMO.as_bytes()).map_err(failed)?;
    let (file, dir) = (file.display(), dir.display());
    print(format!(
        "{file}: the demo's configuration\n\nnext, when the demo has stopped:\n  cd {dir}\n  tidewire serve\n\
         change it while that runs: open pages follow within seconds"
    ))
}

pub(crate) fn serve(options: &ServeOptions, vfs: Option<&str>) -> Result<(), Failure> {
    let told = log::start(&options.log)?;
    let options = config::Options {
        paths: vec![options.config.clone()],
        listen: options.listen.clone(),
        data_dir: options.data_dir.clone(),
        memory: options.memory,
    };
    let loaded = Loaded::with(options);
    let (config, plans) = check::load_with(loaded.options()).map_err(|p| Failure::problems(&p))?;
    run(&config, &plans, Some(loaded), told, vfs)
}

/// Runs until it is told to stop. `loaded` is what the configuration was loaded with, if there
/// are files that may change: the demo has none.
fn run(config: &Config, plans: &[Plan], loaded: Option<Loaded>, told: Told, vfs: Option<&str>) -> Result<(), Failure> {
    let is_demo = loaded.is_none();
    let prometheus = counts::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("the runtime cannot be started: {e}")))?;
    runtime.block_on(async {
        // A SIGHUP that comes while it starts must not end it; it is heard once all runs.
        let hang_up = || signal(SignalKind::hangup()).map_err(unheard);
        let reloaded = loaded.map(|loaded| Ok::<_, Failure>((loaded, hang_up()?))).transpose()?;
        // First the port: if it is in use, nothing else needs to happen.
        let bound = serve::bind(serve::Options {
            listen: config.listen.clone(),
            limits: config.limits.clone(),
            cors: config.cors.clone(),
            insecure: config.insecure,
            shards: None,
        })
        .await
        .map_err(|e| Failure::new(e.to_string()))?;
        let progress = Arc::new(engine::Progress::default());
        let starting = {
            let progress = Arc::clone(&progress);
            bound.answer_while_starting(prometheus.clone(), Arc::new(move || how_far(&progress)))
        };
        // It blocks this thread; who asks meanwhile is answered on others.
        let engine = start_engine(config, plans, vfs, &progress)?;
        drop(starting);
        for note in &engine.notes {
            tracing::info!("{note}");
        }
        // Before anybody is told that it runs, or could tell it to stop.
        let (told_to, failure) = (stop_signal()?, engine.ended());
        let address = bound.local_addr().to_string();
        announce(config, &address, told);
        if is_demo && told.on_stdout {
            propose(&address);
        }
        let backend = Arc::new(EngineBackend::new(engine.handle(), config, plans));
        let stop = async {
            tokio::select! {
                () = told_to => {}
                () = failure => {}
            }
        };
        let (changes, changed) = mpsc::channel(1);
        match reloaded {
            Some((loaded, hang_up)) => {
                let reload = Reload::new(loaded, config.clone(), changes, hang_up);
                tokio::spawn(reload.run());
            }
            None => reload::register(),
        }
        let served = bound.run(backend, prometheus, changed, stop).await;
        finish(engine)?;
        tracing::info!("stopped");
        served.map_err(|e| Failure::new(format!("the server cannot go on: {e}")))
    })
}

/// How far a start is.
fn how_far(progress: &engine::Progress) -> String {
    let (ticks, replayed) = (progress.ticks.load(Ordering::Relaxed), progress.replayed.load(Ordering::Relaxed));
    if ticks == 0 {
        return "the server is starting: it reads its last checkpoint".to_owned();
    }
    format!("the server is starting: it has replayed {replayed} of {ticks} ticks since its last checkpoint")
}

fn start_engine(
    config: &Config,
    plans: &[Plan],
    vfs: Option<&str>,
    progress: &engine::Progress,
) -> Result<Engine, Failure> {
    let opened = store::open(&store::Options {
        dir: config.data_dir.clone(),
        durability: match config.durability {
            Durability::Fsync => store::Durability::Fsync,
            Durability::Process => store::Durability::Process,
        },
        vfs: vfs.map(ToOwned::to_owned),
    })
    .map_err(|e| Failure::new(e.to_string()))?;
    Engine::start(config, plans, opened, progress).map_err(|e| Failure::new(e.to_string()))
}

/// One line: where it listens, where it keeps and how surely, what it serves.
fn announce(config: &Config, address: &str, told: Told) {
    let durability = match config.durability {
        Durability::Fsync => "fsync",
        Durability::Process => "process",
    };
    let dir = config.data_dir.as_ref().map(|dir| dir.display().to_string());
    let (streams, feeds) = (config.written_streams(), config.feeds.len());
    let version = env!("CARGO_PKG_VERSION");
    if told.in_log {
        let (durability, dashboards) =
            (dir.as_ref().map_or("nothing is kept", |_| durability), config.dashboards.len());
        tracing::info!(version, address, data_dir = dir, durability, streams, feeds, dashboards, "tidewire listens");
    }
    if told.on_stdout {
        let kept = dir.map_or("nothing is kept".to_owned(), |dir| format!("data in {dir} ({durability})"));
        let page = config.dashboards.first().map_or(String::new(), |d| format!("dashboard/{}", d.name));
        // Who started the server may have closed its output; that is no reason to end.
        let _ = writeln!(
            std::io::stdout(),
            "tidewire {version} listens on http://{address}/{page} · {kept} · {}, {}",
            count(streams, "stream"),
            count(feeds, "feed")
        );
    }
}

/// What to try next, in four lines.
fn propose(address: &str) {
    // As it was called, where it is not on the path.
    let called = std::env::args().next().filter(|name| name.contains('/'));
    let tidewire = called.as_deref().unwrap_or("tidewire");
    // Commands ask the usual address unless told otherwise.
    let url = if address == "127.0.0.1:8080" { String::new() } else { format!(" --url http://{address}") };
    // As above, a closed output is no reason to end.
    let _ = writeln!(
        std::io::stdout(),
        "The machine is this one; shop and fleet are made up, and some vans are late on purpose.\n\
         Open that page, and in another terminal try\n  \
           {tidewire} tail vans{url}\n  \
           {tidewire} query 'SELECT item, revenue FROM items ORDER BY revenue DESC'{url}\n  \
           {tidewire} dead-letters fleet{url}\n  \
           {tidewire} demo --write mine    (this configuration, to start your own from)"
    );
}

/// Ends with the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn unheard(error: std::io::Error) -> Failure {
    Failure::new(format!("signals cannot be received: {error}"))
}

/// Flush, checkpoint, close. The log has all that was acknowledged, so a stop that takes
/// too long may end: the next start replays.
fn finish(engine: Engine) -> Result<(), Failure> {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send(engine.stop());
    });
    match wait.recv_timeout(STOP_WITHIN) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new("a fault of the server ended it; what was acknowledged is in the log")),
        Err(_) => {
            Err(Failure::new("the last checkpoint was not written in time; the next start replays the log instead"))
        }
    }
}
