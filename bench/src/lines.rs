//! The input: NDJSON of 52 or 86 bytes a line, the same at every run.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use crate::Outcome;

/// How many metrics there are.
pub const METRICS: u64 = 1_000;

/// Events in a second of event time.
pub const PER_SECOND: u64 = 100_000;

/// The first event's time: 2023-11-14T22:13:20Z.
pub const START_MS: u64 = 1_700_000_000_000;

/// The two forms of a line. Lengths count the newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{"metric":"m123","value":12.345,"ts":1700000000000}`
    Bytes52,
    /// The same with `"dashboard":"d17","host":"h00421"`.
    Bytes86,
}

impl Form {
    /// Bytes of a line.
    pub const fn len(self) -> usize {
        match self {
            Self::Bytes52 => 52,
            Self::Bytes86 => 86,
        }
    }

    /// Never: a line has bytes.
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The schema of the stream, in YAML.
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Bytes52 => "{ metric: text, value: double, ts: timestamp }",
            Self::Bytes86 => "{ metric: text, value: double, ts: timestamp, dashboard: text, host: text }",
        }
    }
}

/// Lines in the order of their times, without an end.
#[derive(Debug)]
pub struct Lines {
    form: Form,
    number: u64,
    seed: u64,
}

impl Lines {
    /// From the first one.
    pub fn new(form: Form) -> Self {
        Self { form, number: 0, seed: 0x9E37_79B9_7F4A_7C15 }
    }

    /// xorshift64* (Vigna, 2016): enough for values, and fast.
    fn random(&mut self) -> u64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Writes the next line.
    pub fn write(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        let (metric, value) = (self.random() % METRICS, 10_000 + self.random() % 90_000);
        let ts = START_MS + self.number * 1000 / PER_SECOND;
        self.number += 1;
        write!(out, r#"{{"metric":"m{metric:03}","value":{}.{:03},"ts":{ts}"#, value / 1000, value % 1000)?;
        if self.form == Form::Bytes86 {
            write!(out, r#","dashboard":"d{}","host":"h{:05}""#, 10 + metric % 90, metric * 7 % 100_000)?;
        }
        out.write_all(b"}\n")
    }

    /// Writes `count` lines to a file.
    pub fn file(form: Form, count: u64, path: &Path) -> Outcome {
        let mut lines = Self::new(form);
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        for _ in 0..count {
            lines.write(&mut out)?;
        }
        Ok(out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_length_and_is_json() {
        for form in [Form::Bytes52, Form::Bytes86] {
            let mut lines = Lines::new(form);
            for _ in 0..1000 {
                let mut line = Vec::new();
                lines.write(&mut line).unwrap();
                assert_eq!(line.len(), form.len(), "{}", String::from_utf8_lossy(&line));
                serde_json::from_slice::<serde_json::Value>(&line).unwrap();
            }
        }
    }
}
