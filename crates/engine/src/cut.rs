//! What makes a tick: where each source stood, and the clock's reading.

use serde::{Deserialize, Serialize};

use crate::clock::Reading;

/// A tick is a function of the state and its cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    pub tick: u64,
    pub reading: Reading,
    /// In the configuration's order.
    pub streams: Vec<StreamCut>,
}

/// What a cut says of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamCut {
    /// The end position of a replayable source; `None` before its first read, and for
    /// events that the log itself keeps.
    pub position: Option<String>,
    /// Whether the source was connected and had nothing more.
    pub caught_up: bool,
}

/// The part of a cut that only the engine reads.
#[derive(Serialize, Deserialize)]
struct Inputs {
    elapsed: i64,
    /// Streams whose source had more to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lagging: Vec<String>,
}

/// A stored cut that this version cannot read.
#[derive(Debug, thiserror::Error)]
#[error("cut {tick} cannot be read: {reason}")]
pub(crate) struct UnreadableCut {
    tick: u64,
    reason: serde_json::Error,
}

impl Cut {
    pub(crate) fn encode<'a>(&self, names: impl Iterator<Item = &'a str>) -> store::Cut {
        let mut positions = Vec::new();
        let mut lagging = Vec::new();
        for (name, stream) in names.zip(&self.streams) {
            if let Some(position) = &stream.position {
                positions.push(store::Position { source: name.to_owned(), position: position.clone() });
            }
            if !stream.caught_up {
                lagging.push(name.to_owned());
            }
        }
        let inputs = Inputs { elapsed: self.reading.elapsed, lagging };
        store::Cut {
            tick: self.tick,
            clock: self.reading.clock,
            positions,
            inputs: serde_json::to_vec(&inputs).unwrap_or_default(),
        }
    }

    /// `names` are the configuration's streams; what the cut says of others is left out.
    pub(crate) fn decode<'a>(cut: &store::Cut, names: impl Iterator<Item = &'a str>) -> Result<Self, UnreadableCut> {
        let inputs: Inputs =
            serde_json::from_slice(&cut.inputs).map_err(|reason| UnreadableCut { tick: cut.tick, reason })?;
        let streams = names.map(|name| StreamCut {
            position: cut.positions.iter().find(|p| p.source == name).map(|p| p.position.clone()),
            caught_up: !inputs.lagging.iter().any(|l| l == name),
        });
        Ok(Self {
            tick: cut.tick,
            reading: Reading { clock: cut.clock, elapsed: inputs.elapsed },
            streams: streams.collect(),
        })
    }
}
