//! `tidewire serve` and `tidewire demo`.

use std::{io::IsTerminal, path::Path, sync::Arc, time::Duration};

use config::{Config, Durability};
use engine::Engine;
use metrics_exporter_prometheus::PrometheusBuilder;
use query::Plan;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    backend::EngineBackend,
    check,
    cli::{DemoOptions, ServeOptions},
    report::{Failure, count},
};

/// The demo's configuration.
const DEMO: &str = include_str!("demo.yaml");

/// How long flushing and the last checkpoint may take before the process ends anyway; with
/// the hub's 5 s for requests in flight it is out within 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(4);

pub(crate) fn demo(options: &DemoOptions, vfs: Option<&str>) -> Result<(), Failure> {
    let mut config = config::load_str(Path::new("demo.yaml"), DEMO, &|_| None).map_err(|p| Failure::problems(&p))?;
    config.listen.clone_from(&options.listen);
    config.data_dir.clone_from(&options.data_dir);
    let (config, plans) = check::plan(config)?;
    run(&config, &plans, vfs)
}

pub(crate) fn serve(options: &ServeOptions, vfs: Option<&str>) -> Result<(), Failure> {
    let options = config::Options {
        paths: vec![options.config.clone()],
        listen: options.listen.clone(),
        data_dir: options.data_dir.clone(),
        memory: options.memory,
    };
    let config = config::load_with(&options, &|name| std::env::var(name).ok()).map_err(|p| Failure::problems(&p))?;
    let (config, plans) = check::plan(config)?;
    run(&config, &plans, vfs)
}

/// Text on a terminal, JSON elsewhere; `TIDEWIRE_LOG` chooses what is logged.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIDEWIRE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start in one process keeps the first one's logging.
    let _ =
        if std::io::stderr().is_terminal() { builder.with_target(false).try_init() } else { builder.json().try_init() };
}

fn run(config: &Config, plans: &[Plan], vfs: Option<&str>) -> Result<(), Failure> {
    start_logging();
    let prometheus = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|e| Failure::new(format!("metrics cannot be collected: {e}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format!("the runtime cannot be started: {e}")))?;
    runtime.block_on(async {
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
        let engine = start_engine(config, plans, vfs)?;
        for note in &engine.notes {
            tracing::info!("{note}");
        }
        announce(config, &bound.local_addr().to_string());
        let backend = Arc::new(EngineBackend::new(engine.handle(), config, plans));
        let (signal, failure) = (stop_signal()?, engine.ended());
        let stop = async {
            tokio::select! {
                () = signal => {}
                () = failure => {}
            }
        };
        let served = bound.run(backend, prometheus, stop).await;
        finish(engine)?;
        served.map_err(|e| Failure::new(format!("the server cannot go on: {e}")))
    })
}

fn start_engine(config: &Config, plans: &[Plan], vfs: Option<&str>) -> Result<Engine, Failure> {
    let opened = store::open(&store::Options {
        dir: config.data_dir.clone(),
        durability: match config.durability {
            Durability::Fsync => store::Durability::Fsync,
            Durability::Process => store::Durability::Process,
        },
        vfs: vfs.map(ToOwned::to_owned),
    })
    .map_err(|e| Failure::new(e.to_string()))?;
    Engine::start(config, plans, opened).map_err(|e| Failure::new(e.to_string()))
}

/// One line: where it listens, where it keeps, what it serves.
fn announce(config: &Config, address: &str) {
    let kept = match (&config.data_dir, config.durability) {
        (None, _) => "nothing is kept".to_owned(),
        (Some(dir), Durability::Fsync) => format!("data in {} (fsync)", dir.display()),
        (Some(dir), Durability::Process) => format!("data in {} (process)", dir.display()),
    };
    let page = config.dashboards.first().map_or(String::new(), |d| format!("dashboard/{}", d.name));
    println!(
        "tidewire {} listens on http://{address}/{page} · {kept} · {}, {}",
        env!("CARGO_PKG_VERSION"),
        count(config.written_streams(), "stream"),
        count(config.feeds.len(), "feed")
    );
}

/// Ends with the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let failed = |e| Failure::new(format!("signals cannot be received: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
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
