//! Where events come from: bytes to columns, files, and seeded random data.
//!
//! # Layout
//!
//! - [`decode`]: bytes of JSON, NDJSON, CSV and MessagePack to record batches in a stream's schema
//! - [`mod@unpack`]: `Content-Encoding`, bounded
//! - [`row`]: a row of a batch as JSON, for dead letters
//! - [`replay`]: what a source that can be read again promises
//! - [`mod@file`]: files of NDJSON, CSV and Parquet, once or followed as they grow
//! - [`generator`]: seeded random events
//! - [`host`]: the vitals of this machine
//! - [`sampled`]: what a source that makes its events promises

pub mod decode;
pub mod file;
pub mod generator;
pub mod host;
pub mod replay;
pub mod row;
pub mod sampled;
pub mod unpack;

pub use decode::{Decoded, Decoder, Format, Limits, Rejection};
pub use file::FileSource;
pub use generator::Generator;
pub use host::Host;
pub use replay::{Read, Replayable, SourceError};
pub use row::row_as_json;
pub use sampled::Sampled;
pub use unpack::{Encoding, UnpackError, unpack};
