//! `--retime`: event times moved to now.

use serde_json::Value;

/// Moves event times so that the first event happens now.
#[derive(Debug)]
pub(crate) struct Retime {
    /// The field that holds the event time.
    field: String,
    /// The first event's own time, and the time it was moved to.
    origin: Option<(i64, i64)>,
}

impl Retime {
    pub(crate) fn new(field: String) -> Self {
        Self { field, origin: None }
    }

    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The new time of an event that says `time`, or `None` if it says none that can be
    /// read. With `at_once` an event happens when it is sent, else in the file's own rhythm.
    pub(crate) fn moved(&mut self, time: &Value, now: i64, at_once: bool) -> Option<i64> {
        let time = read(time)?;
        if at_once {
            return Some(now);
        }
        let (first, start) = *self.origin.get_or_insert((time, now));
        Some(start.saturating_add(time.saturating_sub(first)))
    }
}

/// A time as the server takes it: milliseconds, or RFC 3339 text.
fn read(time: &Value) -> Option<i64> {
    match time {
        Value::Number(ms) => ms.as_i64(),
        Value::String(text) => text
            .parse::<i64>()
            .ok()
            .or_else(|| text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_event_happens_now_and_the_rest_keep_their_distance() {
        let mut retime = Retime::new("ts".to_owned());
        assert_eq!(retime.moved(&json!(1_000), 50_000, false), Some(50_000));
        assert_eq!(retime.moved(&json!("1970-01-01T00:00:03Z"), 50_700, false), Some(52_000));
        assert_eq!(retime.moved(&json!(500), 50_900, false), Some(49_500), "one that was before the first stays so");
        assert_eq!(retime.moved(&json!("soon"), 51_000, false), None);
        assert_eq!(retime.moved(&json!(9_000), 51_000, true), Some(51_000));
    }
}
