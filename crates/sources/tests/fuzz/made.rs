//! Inputs by structure, from a seed.

use model::DataType;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

/// A source of choices.
pub struct Made(Xoshiro256PlusPlus);

/// A value, before it is written in some format.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Large(u64),
    Double(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Made {
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    pub fn below(&mut self, most: usize) -> usize {
        self.0.random_range(0..most.max(1))
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub fn bits(&mut self) -> u64 {
        self.0.random()
    }

    pub fn integer(&mut self) -> i64 {
        let bits = self.bits() as i64;
        let shift = self.below(64);
        self.pick(&[
            bits >> shift,
            i64::from(bits as i32),
            bits % 3_000_000_000,
            bits.rem_euclid(100),
            bits,
            i64::MIN,
            i64::MAX,
        ])
    }

    pub fn double(&mut self) -> f64 {
        let bits = self.bits();
        let value = match self.below(5) {
            0 => f64::from_bits(bits),
            1 => (bits % 1_000_000) as f64 / 100.0,
            2 => (bits % 1_000) as f64,
            3 => (bits as i64) as f64 * 10_f64.powi(self.below(40) as i32 - 20),
            _ => -((bits % 10_000) as f64) / 1000.0,
        };
        if value.is_finite() { value } else { 0.5 }
    }

    /// Digits, with a point or not, an exponent or not, and now and then not by the grammar.
    pub fn number_text(&mut self) -> String {
        let mut text = String::new();
        if self.once_in(3) {
            text.push(self.pick(&['-', '-', '-', '+']));
        }
        self.digits(&mut text, 20);
        if self.once_in(2) {
            text.push('.');
            self.digits(&mut text, 6);
        }
        if self.once_in(6) {
            text.push(self.pick(&['e', 'E']));
            text.push_str(self.pick(&["", "-", "+"]));
            self.digits(&mut text, 3);
        }
        text
    }

    fn digits(&mut self, text: &mut String, most: usize) {
        for _ in 0..self.below(most) + usize::from(!self.once_in(20)) {
            text.push(char::from(b'0' + self.below(10) as u8));
        }
    }

    pub fn text(&mut self) -> String {
        const PIECES: [&str; 16] =
            ["a", "metric", "ü", "😀", "\"", "\\", "\n", "\r\n", ",", " ", "\t", "{", "]", "\u{0}", "0", "\u{feff}"];
        (0..self.below(6)).map(|_| self.pick(&PIECES)).collect()
    }

    /// Text that means something to a type.
    pub fn telling_text(&mut self) -> String {
        match self.below(6) {
            0 => self.number_text(),
            1 => format!("{:04}-{:02}-{:02}", self.pick(&[0, 1, 1970, 2024, 9999]), self.below(14), self.below(33)),
            2 => {
                let day = self.below(31) + 1;
                let zone = self.pick(&["Z", "+01:00", "-23:59", ""]);
                format!("2024-01-{day:02}T{:02}:00:{:02}.{}{zone}", self.below(25), self.below(61), self.below(10_000))
            }
            3 => (0..self.below(9)).map(|_| self.pick(&['A', 'b', '0', '9', '+', '/', '-', '_', '='])).collect(),
            4 => self.integer().to_string(),
            _ => self.text(),
        }
    }

    pub fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => Value::Boolean(self.once_in(2)),
            2 => Value::Integer(self.integer()),
            3 => Value::Large(self.bits() | 1 << 63),
            4 => Value::Double(self.double()),
            5 => Value::Text(self.text()),
            6 => Value::Text(self.telling_text()),
            7 => Value::List((0..self.below(4)).map(|_| self.value(depth - 1)).collect()),
            _ => Value::Map((0..self.below(4)).map(|_| (self.text(), self.value(depth - 1))).collect()),
        }
    }

    /// A value that a column of this type takes.
    pub fn fitting(&mut self, data_type: DataType) -> Value {
        match data_type {
            DataType::Text => Value::Text(self.text()),
            DataType::BigInt => Value::Integer(self.integer()),
            DataType::Int => Value::Integer(i64::from(self.integer() as i32)),
            DataType::Double => Value::Double(self.double()),
            DataType::Decimal { .. } => Value::Double((self.bits() % 1_000_000) as f64 / 100.0),
            DataType::Boolean => Value::Boolean(self.once_in(2)),
            DataType::Timestamp => Value::Integer((self.bits() % 4_000_000_000_000) as i64),
            DataType::Date => Value::Text(format!("2024-{:02}-{:02}", self.below(12) + 1, self.below(28) + 1)),
            DataType::Bytes => Value::Text(self.pick(&["", "AP8=", "AP8", "-_8", "AAAA"]).to_owned()),
            DataType::TextList => {
                let item = |made: &mut Self| if made.once_in(4) { Value::Null } else { Value::Text(made.text()) };
                Value::List((0..self.below(4)).map(|_| item(self)).collect())
            }
            DataType::Json => self.value(3),
        }
    }

    /// A record: as a producer sends it, or of anything.
    pub fn record(&mut self) -> Vec<(String, Value)> {
        let columns = super::columns();
        let mut fields = Vec::new();
        if self.once_in(2) {
            for column in columns {
                let value = if self.once_in(30) { self.value(4) } else { self.fitting(column.data_type) };
                fields.push((column.from.clone(), value));
            }
            return fields;
        }
        for _ in 0..self.below(6) {
            let column = &columns[self.below(columns.len())];
            let name = if self.once_in(8) { self.text() } else { column.from.clone() };
            let value = if self.once_in(2) { self.value(4) } else { self.fitting(column.data_type) };
            fields.push((name, value));
        }
        if !self.once_in(6) {
            fields.push(("must".to_owned(), Value::Integer(self.integer())));
        }
        fields
    }

    /// Changes, puts in, takes out, doubles or cuts off bytes.
    pub fn breakage(&mut self, bytes: &mut Vec<u8>, likely: &[u8]) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            let byte = if self.once_in(3) { self.bits() as u8 } else { self.pick(likely) };
            match self.below(8) {
                0..=2 if at < bytes.len() => bytes[at] = byte,
                3 | 4 => bytes.insert(at, byte),
                5 if at < bytes.len() => drop(bytes.remove(at)),
                6 => {
                    let end = (at + self.below(20)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                7 => bytes.truncate(at),
                _ => {}
            }
        }
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i64(*value),
            Self::Large(value) => serializer.serialize_u64(*value),
            Self::Double(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) => serializer.collect_map(entries.iter().map(|(name, value)| (name, value))),
        }
    }
}
