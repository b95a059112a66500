//! `Content-Encoding`, bounded: what a body unpacks to is limited before it is held.

use std::{borrow::Cow, io::Read};

use flate2::read::MultiGzDecoder;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 8878, one frame or several.
    Zstd,
}

/// The largest window that a frame of zstd may ask for, as a power of two: 8 MiB, the most
/// that RFC 9659 lets a sender of `Content-Encoding: zstd` use.
const WINDOW_LOG: u32 = 23;

/// Why bytes cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// They unpack to more than is allowed; how much more was not looked at.
    #[error("the body unpacks to more than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// They are not of the encoding, or cut off.
    #[error("the body is not valid {0}")]
    Malformed(String),
}

/// Unpacks `bytes` to at most `max_unpacked` bytes. Memory grows with what was unpacked,
/// never with what the bytes claim, and stops at the limit.
pub fn unpack(encoding: Encoding, bytes: &[u8], max_unpacked: usize) -> Result<Cow<'_, [u8]>, UnpackError> {
    let too_large = UnpackError::TooLarge { limit: max_unpacked };
    match encoding {
        Encoding::Identity if bytes.len() > max_unpacked => Err(too_large),
        Encoding::Identity => Ok(Cow::Borrowed(bytes)),
        Encoding::Gzip => read_up_to(MultiGzDecoder::new(bytes), bytes, max_unpacked, "gzip"),
        Encoding::Zstd => {
            let failed = |e: std::io::Error| UnpackError::Malformed(format!("zstd: {e}"));
            if bytes.is_empty() {
                return Err(UnpackError::Malformed("zstd: nothing is there".to_owned()));
            }
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(failed)?;
            decoder.window_log_max(WINDOW_LOG).map_err(failed)?;
            read_up_to(decoder, bytes, max_unpacked, "zstd")
        }
    }
}

fn read_up_to<'a>(
    decoder: impl Read,
    packed: &[u8],
    max_unpacked: usize,
    encoding: &str,
) -> Result<Cow<'a, [u8]>, UnpackError> {
    let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(4).min(max_unpacked));
    decoder
        .take((max_unpacked as u64).saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|e| UnpackError::Malformed(format!("{encoding}: {e}")))?;
    if unpacked.len() > max_unpacked {
        return Err(UnpackError::TooLarge { limit: max_unpacked });
    }
    Ok(Cow::Owned(unpacked))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    #[test]
    fn gzip_is_unpacked_member_by_member() {
        let mut packed = gzip(b"one ");
        packed.extend(gzip(b"two"));
        assert_eq!(unpack(Encoding::Gzip, &packed, 7).as_deref(), Ok(&b"one two"[..]));
        assert_eq!(unpack(Encoding::Identity, b"one", 3).as_deref(), Ok(&b"one"[..]));
    }

    #[test]
    fn zstd_is_unpacked_frame_by_frame_within_limit_and_window() {
        let frame = |bytes: &[u8]| zstd::stream::encode_all(bytes, 3).expect("packs");
        let packed = [frame(b"one "), frame(b"two")].concat();
        assert_eq!(unpack(Encoding::Zstd, &packed, 7).as_deref(), Ok(&b"one two"[..]));
        assert_eq!(unpack(Encoding::Zstd, &packed, 6), Err(UnpackError::TooLarge { limit: 6 }));
        let bomb = frame(&vec![0; 20 << 20]);
        assert!(bomb.len() < 64 << 10, "the bomb is no bomb");
        assert_eq!(unpack(Encoding::Zstd, &bomb, 1 << 20), Err(UnpackError::TooLarge { limit: 1 << 20 }));
        for bytes in [&b"no zstd"[..], &packed[..packed.len() - 2], &packed[1..], b""] {
            let result = unpack(Encoding::Zstd, bytes, 1000);
            assert!(matches!(result, Err(UnpackError::Malformed(_))), "{bytes:?} gave {result:?}");
        }
    }

    #[test]
    fn a_frame_with_a_window_beyond_8_mib_is_refused() {
        for (log, fits) in [(23, true), (24, false)] {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("an encoder");
            encoder.window_log(log).expect("a window");
            encoder.write_all(b"small").expect("packs");
            encoder.flush().expect("flushes, so that the frame says its window");
            let packed = encoder.finish().expect("packs");
            assert_eq!(unpack(Encoding::Zstd, &packed, 100).is_ok(), fits, "2^{log}");
        }
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_limit() {
        let bomb = gzip(&vec![0; 20 << 20]);
        assert!(bomb.len() < 64 << 10, "the bomb is no bomb");
        assert_eq!(unpack(Encoding::Gzip, &bomb, 1 << 20), Err(UnpackError::TooLarge { limit: 1 << 20 }));
        assert_eq!(unpack(Encoding::Identity, b"four", 3), Err(UnpackError::TooLarge { limit: 3 }));
    }

    #[test]
    fn what_is_no_gzip_is_said() {
        let packed = gzip(b"hello, hello, hello");
        let mut flipped = packed.clone();
        let last = flipped.len() - 5;
        flipped[last] ^= 1;
        for bytes in [&b"no gzip"[..], &packed[..packed.len() - 9], &flipped, b""] {
            let result = unpack(Encoding::Gzip, bytes, 1000);
            assert!(matches!(result, Err(UnpackError::Malformed(_))), "{bytes:?} gave {result:?}");
        }
    }
}
