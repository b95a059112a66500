//! Frames of RFC 6455. Written as shared bytes, read with everything that the standard
//! demands of a server: masking, fragments, small control frames, UTF-8.

use bytes::Bytes;

use crate::ws::close::Close;

/// The most that a frame's header takes on the way out (no mask).
const MAX_HEAD: usize = 10;

/// The most bytes of a control frame's payload.
const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PING: u8 = 9;
    pub const PONG: u8 = 10;
}

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message.
    Text(String),
    /// A whole binary message.
    Binary(Vec<u8>),
    /// A ping, to be answered with the same bytes.
    Ping(Vec<u8>),
    /// The answer to a ping.
    Pong,
    /// The client closes, with its code if it gave one.
    Close(Option<u16>),
}

/// A text message whose payload `write` makes.
pub fn text(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    framed(opcode::TEXT, write)
}

/// A binary message whose payload `write` makes.
pub fn binary(write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    framed(opcode::BINARY, write)
}

/// The header goes in front without moving the payload, though its length is known only
/// behind it.
fn framed(opcode: u8, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = vec![0; MAX_HEAD];
    write(&mut out);
    let length = out.len() - MAX_HEAD;
    let mut head = [0; MAX_HEAD];
    let used = head_of(opcode, length, &mut head);
    let start = MAX_HEAD - used;
    out[start..MAX_HEAD].copy_from_slice(&head[..used]);
    Bytes::from(out).slice(start..)
}

/// A text message with this payload, behind others.
pub fn append_text(payload: &[u8], out: &mut Vec<u8>) {
    append(opcode::TEXT, payload, out);
}

/// A binary message with this payload, behind others.
pub fn append_binary(payload: &[u8], out: &mut Vec<u8>) {
    append(opcode::BINARY, payload, out);
}

fn append(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    let mut head = [0; MAX_HEAD];
    let used = head_of(opcode, payload.len(), &mut head);
    out.extend_from_slice(&head[..used]);
    out.extend_from_slice(payload);
}

/// The payload of a message that [`text`] or [`binary`] made.
pub fn payload(message: &[u8]) -> &[u8] {
    let head = match message.get(1) {
        Some(127) => MAX_HEAD,
        Some(126) => 4,
        _ => 2,
    };
    message.get(head..).unwrap_or_default()
}

/// A ping.
pub fn ping() -> Bytes {
    Bytes::from_static(&[FIN | opcode::PING, 0])
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    control(opcode::PONG, payload)
}

/// A close frame.
pub fn close(reason: Close) -> Bytes {
    let mut payload = reason.code().to_be_bytes().to_vec();
    payload.extend_from_slice(reason.reason().as_bytes());
    control(opcode::CLOSE, &payload)
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(MAX_CONTROL)];
    let mut out = Vec::with_capacity(2 + payload.len());
    out.extend_from_slice(&[FIN | opcode, payload.len() as u8]);
    out.extend_from_slice(payload);
    Bytes::from(out)
}

fn head_of(opcode: u8, length: usize, head: &mut [u8; MAX_HEAD]) -> usize {
    head[0] = FIN | opcode;
    if length <= MAX_CONTROL {
        head[1] = length as u8;
        2
    } else if let Ok(short) = u16::try_from(length) {
        head[1] = 126;
        head[2..4].copy_from_slice(&short.to_be_bytes());
        4
    } else {
        head[1] = 127;
        head[2..10].copy_from_slice(&(length as u64).to_be_bytes());
        10
    }
}

/// What messages a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Text, in which JSON is.
    Text,
    /// Binary, in which MessagePack is.
    Binary,
    /// Both, because nobody reads them.
    Anything,
}

/// Puts frames together from what a socket yields. Holds nothing while nothing is half
/// there, and at most one message and one read otherwise.
#[derive(Debug)]
pub struct Reader {
    takes: Takes,
    /// What was read and not yet understood; always the beginning of a frame.
    buffer: Vec<u8>,
    /// The fragments so far of a message.
    message: Vec<u8>,
    /// The opcode that the fragments began with; `None` outside of a fragmented message.
    fragmented: Option<u8>,
}

/// A frame's header.
struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Bytes of the header itself, and of the payload.
    length: usize,
    payload: usize,
}

impl Reader {
    /// For a socket that takes these messages.
    pub fn new(takes: Takes) -> Self {
        Self { takes, buffer: Vec::new(), message: Vec::new(), fragmented: None }
    }

    /// Takes what was read and gives each message and control frame in it to `on_frame`,
    /// in order. `max` bounds a message in bytes. After an error nothing more is read.
    pub fn read(&mut self, bytes: &[u8], max: usize, on_frame: &mut dyn FnMut(Incoming)) -> Result<(), Close> {
        if self.buffer.is_empty() {
            let used = self.split(bytes, max, on_frame)?;
            self.buffer.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.buffer);
        joined.extend_from_slice(bytes);
        let used = self.split(&joined, max, on_frame)?;
        if used < joined.len() {
            joined.drain(..used);
            self.buffer = joined;
        }
        Ok(())
    }

    /// Understands all whole frames; how many bytes they were.
    fn split(&mut self, bytes: &[u8], max: usize, on_frame: &mut dyn FnMut(Incoming)) -> Result<usize, Close> {
        let mut used = 0;
        while let Some(head) = parse_head(&bytes[used..])? {
            self.check(&head, max)?;
            let start = used + head.length;
            let Some(payload) = bytes.get(start..start + head.payload) else { break };
            if let Some(frame) = self.take(&head, payload)? {
                on_frame(frame);
            }
            used = start + head.payload;
        }
        Ok(used)
    }

    fn check(&self, head: &Head, max: usize) -> Result<(), Close> {
        match head.opcode {
            opcode::CONTINUATION if self.fragmented.is_none() => {
                return Err(Close::Protocol("a continuation without a beginning"));
            }
            opcode::TEXT | opcode::BINARY if self.fragmented.is_some() => {
                return Err(Close::Protocol("a new message inside of a fragmented one"));
            }
            opcode::TEXT if self.takes == Takes::Binary => return Err(Close::TakesBinary),
            opcode::BINARY if self.takes == Takes::Text => return Err(Close::TakesText),
            opcode::CONTINUATION | opcode::TEXT | opcode::BINARY => {}
            opcode::CLOSE | opcode::PING | opcode::PONG => {
                if head.payload > MAX_CONTROL || !head.fin {
                    return Err(Close::Protocol("a control frame that is large or fragmented"));
                }
                return Ok(());
            }
            _ => return Err(Close::Protocol("an unknown opcode")),
        }
        // Refused by its header, before a byte of it is held.
        if self.message.len().saturating_add(head.payload) > max { Err(Close::TooLarge) } else { Ok(()) }
    }

    fn take(&mut self, head: &Head, payload: &[u8]) -> Result<Option<Incoming>, Close> {
        match head.opcode {
            opcode::PING => Ok(Some(Incoming::Ping(unmasked(payload, head.mask).collect()))),
            opcode::PONG => Ok(Some(Incoming::Pong)),
            opcode::CLOSE => {
                close_code(&unmasked(payload, head.mask).collect::<Vec<_>>()).map(|c| Some(Incoming::Close(c)))
            }
            _ => {
                self.message.extend(unmasked(payload, head.mask));
                let began = self.fragmented.take().unwrap_or(head.opcode);
                if !head.fin {
                    self.fragmented = Some(began);
                    return Ok(None);
                }
                let message = std::mem::take(&mut self.message);
                if began == opcode::BINARY {
                    return Ok(Some(Incoming::Binary(message)));
                }
                String::from_utf8(message).map(|text| Some(Incoming::Text(text))).map_err(|_| Close::BadText)
            }
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>, Close> {
    let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Close::Protocol("a reserved bit without an extension"));
    }
    if second & MASKED == 0 {
        return Err(Close::Protocol("a frame without a mask"));
    }
    let (length, extra) = match second & !MASKED {
        126 => match rest.first_chunk::<2>() {
            Some(&length) => (u64::from(u16::from_be_bytes(length)), 2),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(&length) => (u64::from_be_bytes(length), 8),
            None => return Ok(None),
        },
        short => (u64::from(short), 0),
    };
    let shortest = match extra {
        2 => length > 125,
        8 => length > u64::from(u16::MAX) && length >> 63 == 0,
        _ => true,
    };
    if !shortest {
        return Err(Close::Protocol("a length that is not in its shortest form"));
    }
    let Some(&mask) = rest.get(extra..).and_then(|r| r.first_chunk::<4>()) else {
        return Ok(None);
    };
    let payload = usize::try_from(length).map_err(|_| Close::TooLarge)?;
    let own = 2 + extra + 4;
    if payload.checked_add(own).is_none() {
        return Err(Close::TooLarge);
    }
    Ok(Some(Head { fin: first & FIN != 0, opcode: first & 15, mask, length: own, payload }))
}

fn unmasked(payload: &[u8], mask: [u8; 4]) -> impl Iterator<Item = u8> {
    payload.iter().zip(mask.into_iter().cycle()).map(|(b, m)| b ^ m)
}

fn close_code(payload: &[u8]) -> Result<Option<u16>, Close> {
    let Some((&code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(Close::Protocol("a close frame with half a code")) };
    };
    let code = u16::from_be_bytes(code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Close::Protocol("a close code that nobody may send"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Close::BadText);
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 100_000;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut head = [0; MAX_HEAD];
        let used = head_of(0, payload.len(), &mut head);
        head[0] = first;
        head[1] |= MASKED;
        let mask = [1, 2, 3, 4];
        let mut out = head[..used].to_vec();
        out.extend_from_slice(&mask);
        out.extend(unmasked(payload, mask));
        out
    }

    fn read(bytes: &[u8], step: usize) -> (Vec<Incoming>, Result<(), Close>) {
        let mut reader = Reader::new(Takes::Text);
        let mut seen = Vec::new();
        for part in bytes.chunks(step) {
            let result = reader.read(part, MAX, &mut |f| seen.push(f));
            if result.is_err() {
                return (seen, result);
            }
        }
        assert!(reader.buffer.is_empty(), "something was left over");
        (seen, Ok(()))
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_with_the_right_code() {
        let cases: &[(&[u8], u16)] = &[
            (&[0x81, 0x00], 1002),                                     // no mask
            (&frame(0xC1, b"x"), 1002),                                // reserved bit
            (&frame(0x83, b"x"), 1002),                                // unknown opcode
            (&frame(0x80, b"x"), 1002),                                // continuation of nothing
            (&frame(0x09, b"x"), 1002),                                // fragmented ping
            (&frame(0x89, &[0; 126]), 1002),                           // large ping
            (&frame(0x88, b"\x03"), 1002),                             // half a close code
            (&frame(0x88, &1005_u16.to_be_bytes()), 1002),             // forbidden close code
            (&frame(0x88, b"\x03\xe8\xff"), 1007),                     // close reason not UTF-8
            (&frame(0x81, b"\xff"), 1007),                             // text not UTF-8
            (&frame(0x82, b"x"), 1003),                                // binary
            (&[0x81, 0xFE, 0, 5, 0, 0, 0, 0], 1002),                   // long form of a short length
            (&[0x81, 0xFF, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1009), // 2^48 bytes
            (&frame(0x81, &vec![b'x'; MAX + 1])[..14], 1009),          // too large by its header alone
            (b"GET / HTTP/1.1\r\n", 1002),
        ];
        for (bytes, code) in cases {
            assert_eq!(read(bytes, 3).1.map_err(Close::code), Err(*code), "{bytes:?}");
        }
        let inside = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
        assert_eq!(read(&inside, 1).1.map_err(Close::code), Err(1002));
    }

    #[test]
    fn fragments_cannot_add_up_beyond_the_limit() {
        let mut bytes = frame(0x01, &vec![b'x'; 60_000]);
        bytes.extend(frame(0x00, &vec![b'x'; 60_000]));
        assert_eq!(read(&bytes, 4096).1, Err(Close::TooLarge));
    }

    #[test]
    fn control_frames_pass_between_fragments() {
        let bytes =
            [frame(0x01, b"he"), frame(0x89, b"p"), frame(0x00, b"l"), frame(0x8A, b""), frame(0x80, b"lo")].concat();
        for step in 1..bytes.len() {
            let (seen, result) = read(&bytes, step);
            assert_eq!(result, Ok(()));
            assert_eq!(seen, vec![Incoming::Ping(b"p".to_vec()), Incoming::Pong, Incoming::Text("hello".to_owned())]);
        }
    }

    proptest! {
        #[test]
        fn messages_survive_any_cut(lengths in prop::collection::vec(prop_oneof![0..40_usize, 120..130_usize, 65_530..65_540_usize], 1..5), step in 1_usize..9000) {
            let texts: Vec<_> = lengths.iter().map(|n| "yé".chars().cycle().take(*n).collect::<String>()).collect();
            let bytes: Vec<u8> = texts.iter().flat_map(|t| frame(0x81, t.as_bytes())).collect();
            let (seen, result) = read(&bytes, step);
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(seen, texts.into_iter().map(Incoming::Text).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_never_panics_nor_piles_up(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut reader = Reader::new(Takes::Text);
            for part in parts {
                if reader.read(&part, 1000, &mut |_| {}).is_err() {
                    break;
                }
                prop_assert!(reader.buffer.len() <= 1000 + 14 + 200 && reader.message.len() <= 1000);
            }
        }
    }
}
