//! The texts of one column of a chunk, one behind the other in one allocation.

use crate::chunk::SLOTS;

/// How many bytes may be unused before texts are moved together, beyond as many as are used.
const SLACK: usize = 1024;

/// One text a slot; a slot without a text has the empty one.
#[derive(Clone)]
pub(crate) struct Texts {
    bytes: String,
    starts: Box<[usize]>,
    lens: Box<[u32]>,
    /// Bytes that belong to a text; the rest of `bytes` is left over from former texts.
    used: usize,
}

impl Texts {
    pub(crate) fn new() -> Self {
        Self { bytes: String::new(), starts: vec![0; SLOTS].into(), lens: vec![0; SLOTS].into(), used: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> &str {
        let start = self.starts[at];
        &self.bytes[start..start + self.lens[at] as usize]
    }

    pub(crate) fn len_of(&self, at: usize) -> usize {
        self.lens[at] as usize
    }

    /// Replaces the text of a slot. Texts are at most 2^31 - 1 bytes, as in Arrow.
    pub(crate) fn set(&mut self, at: usize, text: &str) {
        let (start, len) = (self.starts[at], self.lens[at] as usize);
        if text.len() == len {
            self.bytes.replace_range(start..start + len, text);
            return;
        }
        self.lens[at] = 0;
        self.used -= len;
        self.starts[at] = self.bytes.len();
        self.bytes.push_str(text);
        self.lens[at] = text.len() as u32;
        self.used += text.len();
        self.tidy();
    }

    pub(crate) fn clear(&mut self, at: usize) {
        self.used -= self.lens[at] as usize;
        self.lens[at] = 0;
        self.starts[at] = 0;
        self.tidy();
    }

    /// Moves the texts together once more than half of the bytes are left over, so that
    /// the cost is spread over the texts that were written since.
    fn tidy(&mut self) {
        if self.bytes.len() <= 2 * self.used + SLACK {
            return;
        }
        let mut bytes = String::with_capacity(self.used);
        for at in 0..SLOTS {
            let start = bytes.len();
            bytes.push_str(self.get(at));
            self.starts[at] = start;
        }
        self.bytes = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_replaced_without_growing() {
        let mut texts = Texts::new();
        let mut expected = vec![String::new(); SLOTS];
        for step in 0..20_000_usize {
            let at = step * 7 % 40;
            if step % 11 == 0 {
                texts.clear(at);
                expected[at].clear();
            } else {
                let text = "añ€😀".repeat(step * step % 9);
                texts.set(at, &text);
                expected[at] = text;
            }
            assert!(texts.bytes.len() <= 2 * texts.used + SLACK + 80);
        }
        for (at, text) in expected.iter().enumerate() {
            assert_eq!(texts.get(at), text);
        }
    }
}
