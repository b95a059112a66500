//! Every metric name (INV-9). `docs/metrics.md` lists them with labels and units.

/// Every metric, so that a test can hold it against the documentation.
pub const ALL: &[&str] = &[
    MESSAGES_PROCESSED,
    PROCESSING_SECONDS,
    ACTIVE_CONNECTIONS,
    EVENTS_ACCEPTED,
    DEAD_LETTERS,
    EVENTS_LEFT_OUT,
    SOURCE_FAILED,
    REQUESTS_REFUSED,
    TICKS,
    TICK_SECONDS,
    COMMIT_SECONDS,
    CHECKPOINT_SECONDS,
    CHECKPOINT_BYTES,
    CHECKPOINT_FAILING,
    WATERMARK_MS,
    FEED_ROWS,
    FEED_OFFSET,
    GROUPS,
    FEED_MEMORY,
    EVICTED,
    PENDING_BYTES,
    CONNECTIONS,
    SUBSCRIPTIONS,
    FRAMES_SENT,
    BYTES_SENT,
    FRAMES_ENCODED,
    RESETS,
    LAGGING,
    UNSENT_BYTES,
    QUERY_SECONDS,
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
/// Time of writing a checkpoint, in seconds.
pub const CHECKPOINT_SECONDS: &str = "tidewire_checkpoint_seconds";
/// Bytes written by checkpoints.
pub const CHECKPOINT_BYTES: &str = "tidewire_checkpoint_bytes_total";
/// 1 while a checkpoint cannot be written.
pub const CHECKPOINT_FAILING: &str = "tidewire_checkpoint_failing";
/// The watermark, in milliseconds since 1970. Label `stream`.
pub const WATERMARK_MS: &str = "tidewire_watermark_ms";
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
/// Time of a pull query, refused ones too, in seconds.
pub const QUERY_SECONDS: &str = "tidewire_query_seconds";
