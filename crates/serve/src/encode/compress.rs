//! Bodies packed for the way. Made once, beside the encoding that they pack, and shared
//! by all who ask.

use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

/// Smaller bodies go as they are: there is nothing to gain.
pub const LEAST: usize = 1024;

/// Between speed and size, as servers usually choose them; zstd's is its default.
const GZIP_LEVEL: u32 = 6;
const BROTLI_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;

/// Brotli's window, as a power of two, and its buffer.
const BROTLI_WINDOW: u32 = 22;
const BROTLI_BUFFER: usize = 16 << 10;

/// A coding of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 8878; the fastest.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952; everybody has it.
    Gzip,
}

impl Coding {
    /// All, the one that we like best first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// What stands in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Packs a body.
    pub fn pack(self, chunks: &[Bytes]) -> io::Result<Bytes> {
        let length: usize = chunks.iter().map(Bytes::len).sum();
        let mut out = Vec::with_capacity(length / 4);
        match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(&mut out, ZSTD_LEVEL)?;
                write_all(chunks, &mut encoder)?;
                encoder.finish()?;
            }
            Self::Brotli => {
                let mut encoder = CompressorWriter::new(&mut out, BROTLI_BUFFER, BROTLI_LEVEL, BROTLI_WINDOW);
                write_all(chunks, &mut encoder)?;
                drop(encoder);
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(&mut out, Compression::new(GZIP_LEVEL));
                write_all(chunks, &mut encoder)?;
                encoder.finish()?;
            }
        }
        out.shrink_to_fit();
        Ok(Bytes::from(out))
    }
}

fn write_all(chunks: &[Bytes], out: &mut impl Write) -> io::Result<()> {
    chunks.iter().try_for_each(|chunk| out.write_all(chunk))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_packed_unpacks_to_the_same() {
        let chunks: Vec<_> = (0..50).map(|i| Bytes::from(format!("{{\"row\":{i}}}").repeat(500))).collect();
        let whole = chunks.concat();
        for coding in Coding::ALL {
            let packed = coding.pack(&chunks).unwrap();
            assert!(packed.len() < whole.len() / 4);
            let mut back = Vec::new();
            let mut reader: Box<dyn Read> = match coding {
                Coding::Zstd => Box::new(zstd::Decoder::new(&packed[..]).unwrap()),
                Coding::Brotli => Box::new(brotli::Decompressor::new(&packed[..], 4096)),
                Coding::Gzip => Box::new(flate2::read::GzDecoder::new(&packed[..])),
            };
            reader.read_to_end(&mut back).unwrap();
            assert_eq!(back, whole, "{coding:?}");
        }
    }
}
