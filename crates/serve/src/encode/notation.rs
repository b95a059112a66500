//! JSON and MessagePack, written by the same calls, so that a message has one shape.
//!
//! JSON needs to know where a list ends, MessagePack how long it is: so both are said.

use crate::encode::{
    json::{self, Cells},
    pack,
};

/// A notation that values are appended in.
pub trait Notation {
    /// Begins a map of so many entries, which are each a [`Notation::key`] and a value.
    fn map(&mut self, entries: usize);
    /// Ends a map.
    fn end_map(&mut self);
    /// Begins an array of so many values.
    fn array(&mut self, values: usize);
    /// Ends an array.
    fn end_array(&mut self);
    /// The name of the entry that follows.
    fn key(&mut self, name: &str);
    /// A text.
    fn text(&mut self, value: &str);
    /// True or false.
    fn boolean(&mut self, value: bool);
    /// One cell of a column.
    fn cell(&mut self, cells: &Cells, row: usize);
    /// No value.
    fn null(&mut self);
    /// A whole number.
    fn integer(&mut self, value: u64);
    /// What was written so far, to be sent on its way when it is large.
    fn out(&mut self) -> &mut Vec<u8>;

    /// An entry that is a text.
    fn entry(&mut self, name: &str, value: &str) {
        self.key(name);
        self.text(value);
    }
}

/// RFC 8259.
pub struct Json<'a> {
    out: &'a mut Vec<u8>,
    /// Whether a value stands before in the same list.
    comma: bool,
}

impl<'a> Json<'a> {
    /// Appends to these bytes.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    fn open(&mut self, bracket: u8) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    fn close(&mut self, bracket: u8) {
        self.out.push(bracket);
        self.comma = true;
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }
}

impl Notation for Json<'_> {
    fn map(&mut self, _: usize) {
        self.open(b'{');
    }

    fn end_map(&mut self) {
        self.close(b'}');
    }

    fn array(&mut self, _: usize) {
        self.open(b'[');
    }

    fn end_array(&mut self) {
        self.close(b']');
    }

    fn key(&mut self, name: &str) {
        self.separate();
        json::text(name, self.out);
        self.out.push(b':');
        self.comma = false;
    }

    fn text(&mut self, value: &str) {
        self.separate();
        json::text(value, self.out);
    }

    fn boolean(&mut self, value: bool) {
        self.separate();
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn cell(&mut self, cells: &Cells, row: usize) {
        self.separate();
        cells.write(row, self.out);
    }

    fn null(&mut self) {
        self.separate();
        self.out.extend_from_slice(b"null");
    }

    fn integer(&mut self, value: u64) {
        self.separate();
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }
}

/// <https://github.com/msgpack/msgpack/blob/master/spec.md>.
pub struct MessagePack<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> MessagePack<'a> {
    /// Appends to these bytes.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }
}

impl Notation for MessagePack<'_> {
    fn map(&mut self, entries: usize) {
        pack::map(entries, self.out);
    }

    fn end_map(&mut self) {}

    fn array(&mut self, values: usize) {
        pack::array(values, self.out);
    }

    fn end_array(&mut self) {}

    fn key(&mut self, name: &str) {
        pack::text(name, self.out);
    }

    fn text(&mut self, value: &str) {
        pack::text(value, self.out);
    }

    fn boolean(&mut self, value: bool) {
        pack::boolean(value, self.out);
    }

    fn cell(&mut self, cells: &Cells, row: usize) {
        pack::cell(cells, row, self.out);
    }

    fn null(&mut self) {
        pack::null(self.out);
    }

    fn integer(&mut self, value: u64) {
        pack::unsigned(value, self.out);
    }

    fn out(&mut self) -> &mut Vec<u8> {
        self.out
    }
}
