//! Every metric name (INV-9). `docs/metrics.md` lists them with labels and units.

/// What a metric's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, and begins again at 0 with the process.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many values there were up to each of several bounds, and their sum.
    Histogram,
}

/// A metric as `/metrics` describes it.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it counts or measures.
    pub help: &'static str,
}

/// Bounds of every histogram, all of which are of seconds: from a tick of one event to a disk
/// that hangs.
pub const SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, help }
}

/// Every metric, so that it can be described, and held against the documentation.
pub const ALL: &[Metric] = &[
    counter(
        MESSAGES_PROCESSED,
        "Messages sent to the viewers of a dashboard; plain updates that leave together count once",
    ),
    histogram(PROCESSING_SECONDS, "From an event's arrival to its change being published"),
    gauge(ACTIVE_CONNECTIONS, "Open connections that watch a dashboard"),
    counter(EVENTS_ACCEPTED, "Events accepted"),
    counter(DEAD_LETTERS, "Records refused"),
    counter(
        EVENTS_LEFT_OUT,
        "Logged events that a start or a rebuild left out, because the schema of today would refuse them",
    ),
    gauge(SOURCE_FAILED, "1 while a source cannot be read"),
    counter(REQUESTS_REFUSED, "Requests and messages refused"),
    counter(TICKS, "Ticks run"),
    histogram(TICK_SECONDS, "Time of a tick"),
    histogram(COMMIT_SECONDS, "Time of a commit of the log"),
    gauge(LOG_FAILING, "1 while the log cannot be written"),
    histogram(CHECKPOINT_SECONDS, "Time of writing a checkpoint"),
    counter(CHECKPOINT_BYTES, "Bytes written by checkpoints"),
    gauge(CHECKPOINT_FAILING, "1 while a checkpoint cannot be written"),
    gauge(WATERMARK, "The watermark, in seconds since 1970"),
    gauge(FEED_ROWS, "Rows of a feed"),
    gauge(FEED_OFFSET, "The tick of a feed's last change"),
    gauge(GROUPS, "Groups that a query holds"),
    gauge(FEED_MEMORY, "What a feed's groups, rows and deleted keys count for"),
    counter(EVICTED, "Rows deleted because max_memory had no room for them"),
    gauge(PENDING_BYTES, "Events accepted and not yet in the log"),
    gauge(CONNECTIONS, "Open connections"),
    gauge(SUBSCRIPTIONS, "Subscriptions"),
    counter(FRAMES_SENT, "Frames sent to viewers"),
    counter(BYTES_SENT, "Bytes sent to viewers"),
    counter(FRAMES_ENCODED, "Frames and bodies encoded"),
    counter(RESETS, "Cursors that could not be resumed"),
    gauge(LAGGING, "Viewers whose socket takes no more at the moment"),
    gauge(UNSENT_BYTES, "Bytes that wait until viewers' sockets take them"),
    counter(CONFIG_RELOADS, "Times that the configuration was read again"),
    gauge(CONFIG_LAST_RELOAD_OK, "0 while the configuration on disk is refused and an older one is in use"),
    gauge(CONFIG_RESTART_NEEDED, "1 while the configuration on disk says something that only a restart brings"),
    gauge(BUILD_INFO, "Always 1; says which version runs"),
];

/// Messages sent to the viewers of a dashboard. Label `dashboard_id`.
pub const MESSAGES_PROCESSED: &str = "dashboard_messages_processed_total";
/// From an event's arrival to its change being published, in seconds.
pub const PROCESSING_SECONDS: &str = "dashboard_processing_seconds";
/// Open connections that watch a dashboard. Label `dashboard_id`.
pub const ACTIVE_CONNECTIONS: &str = "dashboard_active_connections";
/// Events accepted. Label `stream`.
pub const EVENTS_ACCEPTED: &str = "tidewire_events_accepted_total";
/// Records refused. Labels `stream`, `reason`.
pub const DEAD_LETTERS: &str = "tidewire_dead_letters_total";
/// Logged events that a start or a rebuild left out: the schema of today would refuse them.
pub const EVENTS_LEFT_OUT: &str = "tidewire_events_left_out_total";
/// 1 while a source cannot be read. Label `stream`.
pub const SOURCE_FAILED: &str = "tidewire_source_failed";
/// Requests and messages refused. Label `code`.
pub const REQUESTS_REFUSED: &str = "tidewire_requests_refused_total";
/// Ticks run.
pub const TICKS: &str = "tidewire_ticks_total";
/// Time of a tick, in seconds.
pub const TICK_SECONDS: &str = "tidewire_tick_seconds";
/// Time of a commit of the log, in seconds.
pub const COMMIT_SECONDS: &str = "tidewire_commit_seconds";
/// 1 while the log cannot be written.
pub const LOG_FAILING: &str = "tidewire_log_failing";
/// Time of writing a checkpoint, in seconds.
pub const CHECKPOINT_SECONDS: &str = "tidewire_checkpoint_seconds";
/// Bytes written by checkpoints.
pub const CHECKPOINT_BYTES: &str = "tidewire_checkpoint_bytes_total";
/// 1 while a checkpoint cannot be written.
pub const CHECKPOINT_FAILING: &str = "tidewire_checkpoint_failing";
/// The watermark, in seconds since 1970. Label `stream`.
pub const WATERMARK: &str = "tidewire_watermark_timestamp_seconds";
/// Rows of a feed. Label `feed`.
pub const FEED_ROWS: &str = "tidewire_feed_rows";
/// The tick of a feed's last change. Label `feed`.
pub const FEED_OFFSET: &str = "tidewire_feed_offset";
/// Groups a query holds. Label `feed`.
pub const GROUPS: &str = "tidewire_groups";
/// Bytes that a feed's groups, rows and deleted keys count for. Label `feed`.
pub const FEED_MEMORY: &str = "tidewire_feed_memory_bytes";
/// Rows deleted because `max_memory` had no room for them. Label `feed`.
pub const EVICTED: &str = "tidewire_rows_evicted_total";
/// Bytes of events accepted and not yet in the log. Label `stream`.
pub const PENDING_BYTES: &str = "tidewire_pending_bytes";
/// Open connections. Label `transport`: `http`, `websocket` or `sse`.
pub const CONNECTIONS: &str = "tidewire_connections";
/// Subscriptions. Label `feed`.
pub const SUBSCRIPTIONS: &str = "tidewire_subscriptions";
/// Frames sent to viewers. Label `feed`.
pub const FRAMES_SENT: &str = "tidewire_frames_sent_total";
/// Bytes sent to viewers.
pub const BYTES_SENT: &str = "tidewire_bytes_sent_total";
/// Frames and bodies encoded (INV-7). Label `feed`.
pub const FRAMES_ENCODED: &str = "tidewire_frames_encoded_total";
/// Cursors that could not be resumed. Label `feed`.
pub const RESETS: &str = "tidewire_resets_total";
/// Viewers whose socket takes no more at the moment.
pub const LAGGING: &str = "tidewire_lagging_viewers";
/// Bytes that wait until viewers' sockets take them.
pub const UNSENT_BYTES: &str = "tidewire_unsent_bytes";
/// Times that the configuration was read again. Label `result`: `applied` or `refused`.
pub const CONFIG_RELOADS: &str = "tidewire_config_reloads_total";
/// 0 while the configuration on disk is refused.
pub const CONFIG_LAST_RELOAD_OK: &str = "tidewire_config_last_reload_ok";
/// 1 while the configuration on disk says something that only a restart brings.
pub const CONFIG_RESTART_NEEDED: &str = "tidewire_config_restart_needed";
/// Always 1. Label `version`.
pub const BUILD_INFO: &str = "tidewire_build_info";
