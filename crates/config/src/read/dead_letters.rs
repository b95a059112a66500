//! Streams that are there without being written down: the dead letters of the others.

use std::time::Duration;

use model::DataType;

use crate::{
    reader::Reader,
    types::{EventTime, Source, Stream, StreamColumn},
    yaml::{Key, Node},
};

/// What the name of a stream of dead letters ends in.
const ENDING: &str = "_dead_letters";

/// When nothing was refused for this long, a window over dead letters closes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The columns, and whether they are always there.
const COLUMNS: [(&str, DataType, bool); 5] = [
    ("at", DataType::Timestamp, true),
    ("reason", DataType::Text, true),
    ("feed", DataType::Text, false),
    ("message", DataType::Text, true),
    ("raw", DataType::Text, true),
];

/// The names of streams of dead letters are taken.
pub(super) fn check_names(reader: &mut Reader<'_>, names: &[(&Key, &Node)]) {
    for (name, _) in names {
        if let Some(of) = name.text.strip_suffix(ENDING)
            && names.iter().any(|(other, _)| other.text == of)
        {
            reader.problem(
                name.spot,
                format!("stream `{}`: the name belongs to the dead letters of `{of}`", name.text),
                "give the stream another name".to_owned(),
            );
        }
    }
}

/// For each stream the one of its dead letters.
pub(crate) fn of(streams: &[Stream]) -> Vec<Stream> {
    let column = |(name, data_type, not_null): (&str, DataType, bool)| StreamColumn {
        name: name.to_owned(),
        from: name.to_owned(),
        data_type,
        not_null,
    };
    let of = |(of, stream): (usize, &Stream)| Stream {
        name: format!("{}{ENDING}", stream.name),
        place: stream.place.clone(),
        source: Source::DeadLetters { of },
        columns: COLUMNS.map(column).into(),
        event_time: Some(EventTime {
            column: COLUMNS[0].0.to_owned(),
            max_lateness: Duration::ZERO,
            idle_timeout: IDLE_TIMEOUT,
            max_ahead: None,
        }),
        retention: stream.retention,
        retention_bytes: stream.retention_bytes,
        max_events_per_second: stream.max_events_per_second,
        max_pending: stream.max_pending,
    };
    streams.iter().enumerate().map(of).collect()
}
