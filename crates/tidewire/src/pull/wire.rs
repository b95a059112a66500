//! What a server and the process of a query say to each other: lines of JSON, and Arrow
//! streams behind them. Both are the same program, so the form has no version.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use model::{Column, DataType, FeedKind, FeedSchema, Schema};
use query::SelectError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serve::backend::{FeedInfo, QueryError};

/// The first line to the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) sql: String,
    pub(super) feeds: Vec<Feed>,
    pub(super) timeout_ms: u64,
    pub(super) memory: usize,
    pub(super) rows: usize,
}

/// A feed that may be read: its name, and the name, type and nullability of its columns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Feed {
    name: String,
    columns: Vec<(String, DataType, bool)>,
}

impl Feed {
    pub(super) fn of(feed: &FeedInfo) -> Self {
        let columns = feed.schema.schema.columns.iter();
        Self { name: feed.name.clone(), columns: columns.map(|c| (c.name.clone(), c.data_type, c.nullable)).collect() }
    }

    pub(super) fn schema(&self) -> Schema {
        let column = |(name, data_type, nullable): &(String, DataType, bool)| Column {
            name: name.clone(),
            data_type: *data_type,
            nullable: *nullable,
        };
        Schema::new(self.columns.iter().map(column).collect())
    }

    /// For the planner, to which a key means nothing.
    pub(super) fn described(&self) -> FeedSchema {
        FeedSchema { name: self.name.clone(), schema: self.schema(), key_len: 1, kind: FeedKind::Upsert }
    }
}

/// A line of the process.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said<T> {
    Done(T),
    Failed(Why),
}

/// The query can be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Planned {
    /// Which of the feeds it reads.
    pub(super) feed: usize,
    pub(super) columns: Vec<(String, DataType)>,
}

/// The query was run; its rows follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) truncated: bool,
}

/// Why a query has no answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Why {
    Refused(String),
    TooLarge,
    Failed(String),
}

impl Why {
    pub(super) fn into_error(self, asked: &Asked) -> QueryError {
        match self {
            Self::Refused(why) => QueryError::Refused(why),
            Self::TooLarge => QueryError::TooLarge { limit: asked.memory },
            Self::Failed(why) => QueryError::Failed(why),
        }
    }
}

impl From<SelectError> for Why {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::Refused(error) => {
                let place = error.at.map_or_else(String::new, |(line, column)| format!("{line}:{column}: "));
                let hint = error.hint.map_or_else(String::new, |hint| format!("; {hint}"));
                Self::Refused(format!("{place}{}{hint}", error.message))
            }
            SelectError::TooLarge { .. } => Self::TooLarge,
            SelectError::Failed(why) => Self::Failed(format!("the query failed: {why}")),
        }
    }
}

impl Asked {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

pub(super) fn write(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

pub(super) fn read<T: DeserializeOwned>(input: &mut impl BufRead) -> io::Result<T> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}
