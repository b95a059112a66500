//! Records out of a file, in request bodies.

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{RHYTHM, retime::Retime};
use crate::cli::PushFormat;

/// The largest body of one request; the server takes 16 MiB unless configured otherwise.
const MAX_BODY: usize = 8 << 20;

/// The longest record; longer ones are no records.
const MAX_RECORD: usize = 4 << 20;

/// How much of the file is read at once.
const READ_BUFFER: usize = 1 << 20;

/// What one request carries.
pub(crate) struct Batch {
    pub body: Bytes,
    pub events: usize,
    /// Bytes of the file read so far.
    pub read: u64,
    /// When to send it, in the file's own rhythm.
    pub at: Option<i64>,
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Csv(#[from] csv::Error),
    #[error("not an array of JSON objects: {0}")]
    Json(serde_json::Error),
    #[error("line {0} is longer than 4 MiB: one JSON object a line is expected")]
    TooLong(u64),
    #[error("the header has no column `{0}`, the stream's event time")]
    NoTimeColumn(String),
}

enum Input {
    Lines { input: BufReader<Box<dyn Read>>, line: u64 },
    Csv { reader: csv::Reader<Box<dyn Read>>, header: csv::ByteRecord, time: Option<usize> },
    Objects(std::vec::IntoIter<Value>),
}

/// A record with its line end, and the time it was moved to.
type Record = (Vec<u8>, Option<i64>);

/// Records of a file, some at a time.
pub(crate) struct Records {
    input: Input,
    retime: Option<Retime>,
    /// A record that was read and belongs to the next request, with its time.
    held: Option<Record>,
    /// Why reading ended, once what was read before is sent.
    failed: Option<RecordError>,
    read: u64,
    batch: usize,
    /// Whether to send what there is instead of waiting for a full request: events from a
    /// pipe come when they come.
    eager: bool,
}

impl Records {
    pub(crate) fn new(
        input: Box<dyn Read>,
        format: PushFormat,
        retime: Option<Retime>,
        batch: usize,
        eager: bool,
    ) -> Result<Self, RecordError> {
        let input = match format {
            PushFormat::Ndjson => Input::Lines { input: BufReader::with_capacity(READ_BUFFER, input), line: 0 },
            PushFormat::Csv => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(input);
                let header = reader.byte_headers()?.clone();
                let time = match &retime {
                    None => None,
                    Some(retime) => Some(
                        header
                            .iter()
                            .position(|name| name == retime.field().as_bytes())
                            .ok_or_else(|| RecordError::NoTimeColumn(retime.field().to_owned()))?,
                    ),
                };
                Input::Csv { reader, header, time }
            }
            PushFormat::Json => {
                let values = serde_json::from_reader::<_, Vec<Value>>(input).map_err(RecordError::Json)?;
                Input::Objects(values.into_iter())
            }
        };
        Ok(Self { input, retime, held: None, failed: None, read: 0, batch, eager })
    }

    /// The fields that a header line names.
    pub(crate) fn header(&self) -> Vec<String> {
        match &self.input {
            Input::Csv { header, .. } => header.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect(),
            Input::Lines { .. } | Input::Objects(_) => Vec::new(),
        }
    }

    /// The `Content-Type` of the bodies.
    pub(crate) fn content_type(&self) -> &'static str {
        match self.input {
            Input::Csv { .. } => "text/csv",
            _ => "application/x-ndjson",
        }
    }

    /// The next request's body; `None` at the end. With `at_once` an event happens when it
    /// is sent; else, where times are moved, a request ends where its events lie too far apart.
    pub(crate) fn next_batch(&mut self, limit: usize, now: i64, at_once: bool) -> Result<Option<Batch>, RecordError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut body = match &self.input {
            Input::Csv { header, .. } => csv_line(header),
            _ => Vec::new(),
        };
        let mut events = 0;
        let mut at = None;
        while events < limit.min(self.batch) && body.len() < MAX_BODY && (events == 0 || !self.would_wait()) {
            let record = match self.held.take() {
                Some(record) => Some(record),
                None => match self.next_record(now, at_once) {
                    Err(error) if events > 0 => {
                        self.failed = Some(error);
                        break;
                    }
                    record => record?,
                },
            };
            let Some((record, time)) = record else { break };
            if let (Some(time), false) = (time, at_once) {
                let first = *at.get_or_insert(time);
                if time - first > RHYTHM.as_millis() as i64 {
                    self.held = Some((record, Some(time)));
                    break;
                }
            }
            body.extend_from_slice(&record);
            events += 1;
        }
        Ok((events > 0).then(|| Batch { body: body.into(), events, read: self.read, at }))
    }

    /// Whether the next record has yet to come out of the pipe. CSV is read through a
    /// reader that does not tell, so it goes in full requests.
    fn would_wait(&self) -> bool {
        match &self.input {
            Input::Lines { input, .. } => self.eager && self.held.is_none() && !input.buffer().contains(&b'\n'),
            Input::Csv { .. } | Input::Objects(_) => false,
        }
    }

    /// The next record, with its line end, and its moved time.
    fn next_record(&mut self, now: i64, at_once: bool) -> Result<Option<Record>, RecordError> {
        let Self { input, retime, read, .. } = self;
        match input {
            Input::Lines { input, line } => loop {
                let mut record = Vec::new();
                let length = input.by_ref().take(MAX_RECORD as u64 + 1).read_until(b'\n', &mut record)?;
                *line += 1;
                *read += length as u64;
                if length == 0 {
                    return Ok(None);
                }
                if length > MAX_RECORD {
                    return Err(RecordError::TooLong(*line));
                }
                if record.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                if !record.ends_with(b"\n") {
                    record.push(b'\n');
                }
                return Ok(Some(match retime {
                    // What is not an object goes as it is: the server says what is wrong with it.
                    Some(retime) => match serde_json::from_slice::<Map<String, Value>>(&record) {
                        Ok(object) => moved(object, retime, now, at_once),
                        Err(_) => (record, None),
                    },
                    None => (record, None),
                }));
            },
            Input::Csv { reader, time, .. } => {
                let mut record = csv::ByteRecord::new();
                if !reader.read_byte_record(&mut record)? {
                    return Ok(None);
                }
                *read = reader.position().byte();
                let mut new_time = None;
                if let (Some(column), Some(retime)) = (time, retime) {
                    let text = record.get(*column).map(|t| String::from_utf8_lossy(t).into_owned());
                    new_time = text.and_then(|text| retime.moved(&Value::String(text), now, at_once));
                    if let Some(new_time) = new_time {
                        record = replace(&record, *column, &new_time.to_string());
                    }
                }
                Ok(Some((csv_line(&record), new_time)))
            }
            Input::Objects(values) => Ok(values.next().map(|value| match (value, retime) {
                (Value::Object(object), Some(retime)) => moved(object, retime, now, at_once),
                (value, _) => (format!("{value}\n").into_bytes(), None),
            })),
        }
    }
}

fn moved(mut object: Map<String, Value>, retime: &mut Retime, now: i64, at_once: bool) -> Record {
    let time = object.get(retime.field()).and_then(|time| retime.moved(time, now, at_once));
    if let Some(time) = time {
        object.insert(retime.field().to_owned(), Value::from(time));
    }
    (format!("{}\n", Value::Object(object)).into_bytes(), time)
}

fn replace(record: &csv::ByteRecord, column: usize, text: &str) -> csv::ByteRecord {
    record.iter().enumerate().map(|(i, field)| if i == column { text.as_bytes() } else { field }).collect()
}

fn csv_line(record: &csv::ByteRecord) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    // A Vec takes every write.
    let _ = writer.write_byte_record(record);
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str, format: PushFormat, retime: Option<Retime>) -> Records {
        let input: Box<dyn Read> = Box::new(io::Cursor::new(text.to_owned().into_bytes()));
        Records::new(input, format, retime, 2, false).unwrap()
    }

    fn bodies(mut records: Records, now: i64, at_once: bool) -> Vec<(String, Option<i64>)> {
        let mut all = Vec::new();
        while let Some(batch) = records.next_batch(10, now, at_once).unwrap() {
            all.push((String::from_utf8(batch.body.to_vec()).unwrap(), batch.at));
        }
        all
    }

    #[test]
    fn lines_go_in_batches_and_empty_ones_do_not_go() {
        let all = bodies(records("{\"a\":1}\n\n{\"a\":2}\n{\"a\":3}", PushFormat::Ndjson, None), 0, false);
        assert_eq!(all, [("{\"a\":1}\n{\"a\":2}\n".to_owned(), None), ("{\"a\":3}\n".to_owned(), None)]);
    }

    /// A pipe that has one line at a time.
    struct Pipe(Vec<&'static str>);

    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let line = self.0.remove(0).as_bytes();
            out[..line.len()].copy_from_slice(line);
            Ok(line.len())
        }
    }

    #[test]
    fn what_a_pipe_has_goes_at_once() {
        let pipe = Box::new(Pipe(vec!["{\"a\":1}\n", "{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n", "{\"a\":5}"]));
        let records = Records::new(pipe, PushFormat::Ndjson, None, 2, true).unwrap();
        let sent: Vec<usize> = bodies(records, 0, false).iter().map(|(body, _)| body.lines().count()).collect();
        assert_eq!(sent, [1, 2, 1, 1]);
    }

    #[test]
    fn each_csv_body_has_the_header_and_quoted_line_ends_stay() {
        let all = bodies(records("a,b\n1,\"x\ny\"\n2,z\n3,w\n", PushFormat::Csv, None), 0, false);
        assert_eq!(all[0].0, "a,b\n1,\"x\ny\"\n2,z\n");
        assert_eq!(all[1].0, "a,b\n3,w\n");
    }

    #[test]
    fn an_array_goes_as_lines() {
        let all = bodies(records("[{\"a\":1},{\"a\":2}]", PushFormat::Json, None), 0, false);
        assert_eq!(all[0].0, "{\"a\":1}\n{\"a\":2}\n");
    }

    #[test]
    fn moved_events_keep_their_rhythm_or_take_that_of_sending() {
        let text = "{\"ts\":0}\n{\"ts\":50}\n{\"ts\":900}\n";
        let retime = || Some(Retime::new("ts".to_owned()));
        let rhythm = bodies(records(text, PushFormat::Ndjson, retime()), 7_000, false);
        assert_eq!(rhythm[0], ("{\"ts\":7000}\n{\"ts\":7050}\n".to_owned(), Some(7_000)));
        assert_eq!(rhythm[1], ("{\"ts\":7900}\n".to_owned(), Some(7_900)));
        let at_once = bodies(records(text, PushFormat::Ndjson, retime()), 7_000, true);
        assert_eq!(at_once[1], ("{\"ts\":7000}\n".to_owned(), None));
        let csv = bodies(records("ts,a\n1970-01-01T00:00:01Z,x\n", PushFormat::Csv, retime()), 7_000, false);
        assert_eq!(csv[0].0, "ts,a\n7000,x\n");
    }
}
