//! Where a source of files stands, as text for a cut.

use serde::{Deserialize, Serialize};

use crate::replay::SourceError;

/// How many of the files that were read to their end a position remembers one by one.
const REMEMBERED: usize = 8;

/// Where a source stands: in which file, and what it has read before it.
#[derive(Debug, Clone, Default)]
pub(super) struct Position {
    /// The file's name, where several files have one source; else empty.
    pub name: String,
    /// Where the next record starts: a byte of what the file unpacks to, or a row.
    pub offset: u64,
    /// The hash of the file's beginning, as far as it is behind `offset`.
    pub head: u64,
    /// The file's number on its disk, where it may get another name: 0 if that is not known.
    /// A hint, where several files begin alike; a packed copy has another.
    pub inode: u64,
    /// The files before it.
    pub passed: Passed,
}

/// The files that were read to their end.
///
/// A file may have grown since, or another may have come between. To read up to a position
/// again, a source reads each of the remembered ones to where it ended then; of those before
/// them, the chain tells whether they are still what they were.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed {
    /// How many there are.
    pub files: u64,
    /// A hash of them all, in order.
    pub chain: u64,
    /// The last of them, in order.
    last: Vec<Done>,
}

/// A file that was read to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The offset of its end.
    pub end: u64,
    #[serde(with = "hex")]
    pub head: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inode: u64,
}

/// A position beyond the first file of a name.
#[derive(Serialize, Deserialize)]
struct Long {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    file: String,
    offset: u64,
    #[serde(with = "hex")]
    head: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    inode: u64,
    passed: u64,
    #[serde(with = "hex")]
    chain: u64,
    last: Vec<Done>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Passed {
    pub fn push(&mut self, done: Done) {
        let mut bytes = self.chain.to_le_bytes().to_vec();
        bytes.extend_from_slice(done.name.as_bytes());
        bytes.extend_from_slice(&done.end.to_le_bytes());
        bytes.extend_from_slice(&done.head.to_le_bytes());
        self.chain = hash(&bytes);
        self.files += 1;
        if self.last.len() == REMEMBERED {
            self.last.remove(0);
        }
        self.last.push(done);
    }

    /// The file of this number, if it is remembered.
    pub fn file(&self, number: u64) -> Option<&Done> {
        let forgotten = self.files - self.last.len() as u64;
        self.last.get(usize::try_from(number.checked_sub(forgotten)?).ok()?)
    }
}

impl Position {
    /// The name of the file of this number, if it is remembered or this position's own.
    pub fn name_of(&self, number: u64) -> Option<&str> {
        if number == self.passed.files {
            return Some(&self.name);
        }
        self.passed.file(number).map(|done| done.name.as_str())
    }

    /// Whether both are the same place in the same files.
    pub fn is(&self, other: &Self) -> bool {
        (self.offset, self.head, &self.name) == (other.offset, other.head, &other.name)
            && (self.passed.files, self.passed.chain) == (other.passed.files, other.passed.chain)
    }

    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let bad = || SourceError::BadPosition(text.chars().take(80).collect());
        if text.starts_with('{') {
            let Long { file, offset, head, inode, passed, chain, last } =
                serde_json::from_str(text).map_err(|_| bad())?;
            if last.len() > REMEMBERED || last.len() as u64 > passed {
                return Err(bad());
            }
            return Ok(Self { name: file, offset, head, inode, passed: Passed { files: passed, chain, last } });
        }
        let mut parts = text.splitn(3, ':');
        let (offset, head, inode) = (parts.next(), parts.next(), parts.next());
        let parse = || {
            Some(Self {
                offset: offset?.parse().ok()?,
                head: u64::from_str_radix(head?, 16).ok()?,
                inode: inode.map_or(Some(0), |inode| inode.parse().ok())?,
                ..Self::default()
            })
        };
        parse().ok_or_else(bad)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, offset, head, inode, passed } = self;
        if name.is_empty() && passed.files == 0 {
            write!(f, "{offset}:{head:016x}")?;
            return if *inode == 0 { Ok(()) } else { write!(f, ":{inode}") };
        }
        let long = Long {
            file: name.clone(),
            offset: *offset,
            head: *head,
            inode: *inode,
            passed: passed.files,
            chain: passed.chain,
            last: passed.last.clone(),
        };
        f.write_str(&serde_json::to_string(&long).map_err(|_| std::fmt::Error)?)
    }
}

/// FNV-1a: it tells files apart, not forgeries.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_written_and_stay_short() {
        let mut position = Position { offset: 17, head: 5, ..Position::default() };
        assert_eq!(position.to_string(), "17:0000000000000005");
        position.inode = 9;
        assert_eq!(position.to_string(), "17:0000000000000005:9");
        for number in 0..20 {
            let read = Position::parse(&position.to_string()).expect("its own text");
            assert!(read.is(&position) && read.inode == 9);
            assert_eq!(read.to_string(), position.to_string());
            position.passed.push(Done { name: format!("logs/{number}.ndjson"), end: number, head: number, inode: 1 });
            position.name = "logs/x.ndjson".to_owned();
            assert_eq!(position.name_of(number), Some(format!("logs/{number}.ndjson").as_str()));
            assert_eq!(position.name_of(number + 1), Some("logs/x.ndjson"));
        }
        assert_eq!(position.name_of(11), None);
        assert!(position.to_string().len() < 1000);
        for bad in [
            "",
            "12",
            "x:1",
            "1:x",
            "-1:0",
            "{",
            "{}",
            r#"{"offset":1,"head":"0","passed":0,"chain":"0","last":[{"end":1,"head":"0"}]}"#,
        ] {
            assert!(matches!(Position::parse(bad), Err(SourceError::BadPosition(_))), "{bad}");
        }
    }

    #[test]
    fn the_chain_tells_orders_and_ends_apart() {
        let chain = |files: &[(&str, u64)]| {
            let mut passed = Passed::default();
            for (name, end) in files {
                passed.push(Done { name: (*name).to_owned(), end: *end, head: 0, inode: *end });
            }
            passed.chain
        };
        let one = chain(&[("a", 1), ("b", 2)]);
        assert_ne!(one, chain(&[("b", 2), ("a", 1)]));
        assert_ne!(one, chain(&[("a", 1), ("b", 3)]));
        assert_eq!(one, chain(&[("a", 1), ("b", 2)]));
    }
}
