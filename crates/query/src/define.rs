//! What a query is made from, and what can be wrong with it.

/// A stream, as queries see it.
#[derive(Debug, Clone)]
pub struct StreamDef {
    /// Its name in SQL.
    pub name: String,
    /// Its columns.
    pub schema: model::Schema,
    /// The column of its event time, if it has one.
    pub event_time: Option<String>,
}

/// A feed to be planned.
#[derive(Debug, Clone)]
pub struct FeedDef {
    /// Its name.
    pub name: String,
    /// The query.
    pub sql: String,
    /// The key's columns, where they are said.
    pub key: Option<Vec<String>>,
    /// A condition over the query's columns: a row that meets it deletes its key.
    pub delete_when: Option<String>,
    /// When windows are shown.
    pub emit: Emit,
    /// The least time between two changes of the feed, in milliseconds; 0 is each tick.
    pub refresh_ms: i64,
    /// How many groups the query may hold.
    pub max_groups: u64,
    /// How many bytes the aggregates of one group may remember.
    pub max_group_state: u64,
    /// How many bytes all groups may hold.
    pub max_memory: u64,
    /// A group without a window is dropped after so many milliseconds without an event.
    pub idle_ttl_ms: i64,
}

/// When windows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// As they fill.
    Changes,
    /// Once, when the watermark passes their end.
    Final,
}

/// Which text of a feed an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `sql:`
    Sql,
    /// `key:`
    Key,
    /// `delete_when:`
    DeleteWhen,
}

/// Why a feed cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What was found and what was expected, in one line.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Line and column in the text of `part`, from 1.
    pub at: Option<(u32, u32)>,
    /// Which text it is about.
    pub part: Part,
    /// The name that stands for a stream and is none; the caller may know what else it is.
    pub no_stream: Option<String>,
}
