//! The rows of a feed by key, from frames. Pure: no socket, no clock.
//!
//! Promises INV-3: a table that took the snapshot and every delta since holds exactly
//! the feed as of its cursor. A delta is right for any cursor from its `from` to its
//! `cursor`; one that begins later is a gap, and refused.

use std::collections::BTreeMap;

use model::{Cursor, cursor::MalformedCursor};
use serde_json::Value;

use crate::frame::{Column, Delta, Frame, Row, Snapshot, Subscribed};

/// A frame that does not fit the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The delta begins after what the table holds.
    #[error("a gap: the table stands at {}, the delta begins at {from}", at.as_deref().unwrap_or("nothing"))]
    Gap {
        /// Where the table stands.
        at: Option<String>,
        /// Where the delta begins.
        from: String,
    },
    /// A row, a key or a snapshot of another width than the columns say.
    #[error("expected {expected} values, found {found}")]
    Width {
        /// The number of columns.
        expected: usize,
        /// What came.
        found: usize,
    },
    /// The columns of a snapshot differ in length.
    #[error("the columns of a snapshot differ in length")]
    Ragged,
    /// The key's columns do not stand first.
    #[error("the key's columns do not stand first")]
    Key,
    /// Data came before the columns were told.
    #[error("data came before its columns were told")]
    NoColumns,
    /// A cursor that is none.
    #[error(transparent)]
    Cursor(#[from] MalformedCursor),
}

/// What a frame did to the table.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing: a piece that is not the last, a delta that was known, a frame of another kind.
    Nothing,
    /// All rows were replaced by a snapshot.
    Swapped {
        /// Whether the cursor could not be resumed.
        reset: bool,
    },
    /// Some rows changed, or only the cursor did.
    Changed {
        /// Rows that are new or replaced.
        upserts: Vec<Row>,
        /// Keys whose rows are gone.
        deletes: Vec<Row>,
    },
}

/// How a delta stands to a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It brings something.
    Forward,
    /// It ends where the cursor stands, or before: nothing to do.
    Known,
    /// It begins after the cursor.
    Gap,
}

/// How the delta from `from` to `to` stands to the cursor `at`.
pub fn step(at: Option<&str>, from: &str, to: &str) -> Result<Step, MalformedCursor> {
    let (from, to): (Cursor, Cursor) = (from.parse()?, to.parse()?);
    let Some(at) = at else { return Ok(Step::Gap) };
    let at: Cursor = at.parse()?;
    let same = |c: &Cursor| c.epoch == at.epoch && c.view == at.view;
    Ok(if !same(&from) || !same(&to) || from.offset > at.offset {
        Step::Gap
    } else if to.offset <= at.offset {
        Step::Known
    } else {
        Step::Forward
    })
}

/// Puts the pieces of a snapshot together.
#[derive(Debug, Clone, Default)]
pub struct Pieces {
    columns: Vec<Vec<Value>>,
    reset: bool,
}

impl Pieces {
    /// How many rows have come.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// Forgets what has come: the rest will not follow.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a piece; gives the whole snapshot back with the last one.
    pub fn push(&mut self, mut piece: Snapshot) -> Result<Option<Snapshot>, TableError> {
        let rows = piece.data.first().map_or(0, Vec::len);
        if piece.data.iter().any(|c| c.len() != rows) {
            return Err(TableError::Ragged);
        }
        if self.columns.is_empty() {
            self.columns = std::mem::take(&mut piece.data);
        } else if self.columns.len() == piece.data.len() {
            for (all, mut part) in self.columns.iter_mut().zip(std::mem::take(&mut piece.data)) {
                all.append(&mut part);
            }
        } else {
            return Err(TableError::Width { expected: self.columns.len(), found: piece.data.len() });
        }
        self.reset |= piece.reset;
        if piece.more {
            return Ok(None);
        }
        let whole = std::mem::take(self);
        Ok(Some(Snapshot { data: whole.columns, reset: whole.reset, ..piece }))
    }
}

/// The rows of a feed by key, as of a cursor.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<Column>,
    /// How many columns, from the first, make the key.
    key_len: usize,
    /// By the key as canonical JSON text.
    rows: BTreeMap<String, Row>,
    cursor: Option<String>,
    pieces: Pieces,
}

/// The text by which a row is found: the key's values as a compact JSON array.
pub fn key_text(key: &[Value]) -> String {
    // Values that came from JSON text always go back into it: there is no error to have.
    serde_json::to_string(key).unwrap_or_default()
}

impl Table {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty table that stands at a cursor: it will hold what changed since.
    pub fn since(cursor: impl Into<String>) -> Self {
        Self { cursor: Some(cursor.into()), ..Self::default() }
    }

    /// The columns, the key's first; empty before the first answer.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The key's columns.
    pub fn key(&self) -> &[Column] {
        &self.columns[..self.key_len]
    }

    /// Where the table stands; give it back to resume.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of this key.
    pub fn get(&self, key: &[Value]) -> Option<&Row> {
        self.rows.get(&key_text(key))
    }

    /// All rows, in the order of their keys' JSON text.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        self.rows.values()
    }

    /// All rows by their keys' JSON text: two tables of equal rows have equal maps.
    pub fn by_key(&self) -> &BTreeMap<String, Row> {
        &self.rows
    }

    /// Takes a frame of the table's view.
    pub fn apply(&mut self, frame: Frame) -> Result<Change, TableError> {
        match frame {
            Frame::Subscribed(subscribed) => self.begin(subscribed.columns, &subscribed.key).map(|()| Change::Nothing),
            Frame::Snapshot(piece) => self.take_piece(piece),
            Frame::Delta(delta) => self.take_delta(delta),
            _ => Ok(Change::Nothing),
        }
    }

    /// Takes the answer to a subscribe. Pieces that had come are of no use now; rows stay,
    /// to be resumed, unless the columns are others.
    pub fn subscribed(&mut self, answer: &Subscribed) -> Result<(), TableError> {
        self.begin(answer.columns.clone(), &answer.key)
    }

    fn begin(&mut self, columns: Vec<Column>, key: &[String]) -> Result<(), TableError> {
        if key.is_empty() || key.len() > columns.len() || key.iter().zip(&columns).any(|(k, c)| *k != c.name) {
            return Err(TableError::Key);
        }
        self.pieces.clear();
        if self.columns != columns || self.key_len != key.len() {
            if !self.columns.is_empty() {
                self.rows.clear();
                self.cursor = None;
            }
            self.columns = columns;
            self.key_len = key.len();
        }
        Ok(())
    }

    fn take_piece(&mut self, mut piece: Snapshot) -> Result<Change, TableError> {
        if let (Some(columns), Some(key)) = (piece.columns.take(), piece.key.take()) {
            self.begin(columns, &key)?;
        }
        if self.columns.is_empty() {
            return Err(TableError::NoColumns);
        }
        width(piece.data.len(), self.columns.len())?;
        let Some(whole) = self.pieces.push(piece)? else { return Ok(Change::Nothing) };
        let count = whole.data.first().map_or(0, Vec::len);
        let mut columns: Vec<_> = whole.data.into_iter().map(Vec::into_iter).collect();
        let mut rows = BTreeMap::new();
        for _ in 0..count {
            // `Pieces` has seen that all columns have this length.
            let row: Row = columns.iter_mut().filter_map(Iterator::next).collect();
            rows.insert(key_text(&row[..self.key_len]), row);
        }
        self.rows = rows;
        self.cursor = whole.cursor;
        Ok(Change::Swapped { reset: whole.reset })
    }

    fn take_delta(&mut self, delta: Delta) -> Result<Change, TableError> {
        match step(self.cursor(), &delta.from, &delta.cursor)? {
            Step::Known => return Ok(Change::Nothing),
            Step::Gap => return Err(TableError::Gap { at: self.cursor.clone(), from: delta.from }),
            Step::Forward => {}
        }
        if self.columns.is_empty() {
            return Err(TableError::NoColumns);
        }
        // All widths first: a frame is taken whole or not at all.
        for row in &delta.upsert {
            width(row.len(), self.columns.len())?;
        }
        for key in &delta.delete {
            width(key.len(), self.key_len)?;
        }
        for row in &delta.upsert {
            self.rows.insert(key_text(&row[..self.key_len]), row.clone());
        }
        for key in &delta.delete {
            self.rows.remove(&key_text(key));
        }
        self.cursor = Some(delta.cursor);
        Ok(Change::Changed { upserts: delta.upsert, deletes: delta.delete })
    }
}

fn width(found: usize, expected: usize) -> Result<(), TableError> {
    if found == expected { Ok(()) } else { Err(TableError::Width { expected, found }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn frame(value: &Value) -> Frame {
        Frame::parse(&value.to_string()).unwrap()
    }

    fn table() -> Table {
        let mut table = Table::new();
        let subscribed = json!({"type":"subscribed","ref":1,"view":"v","key":["k"],
            "columns":[{"name":"k","type":"text"},{"name":"n","type":"bigint"}]});
        assert_eq!(table.apply(frame(&subscribed)), Ok(Change::Nothing));
        table
    }

    fn piece(keys: &[&str], numbers: &[i64], cursor: Option<&str>) -> Frame {
        let mut value = json!({"type":"snapshot","view":"v","reset":false,"data":[keys, numbers]});
        match cursor {
            Some(cursor) => value["cursor"] = json!(cursor),
            None => value["more"] = json!(true),
        }
        frame(&value)
    }

    fn delta(from: u64, to: u64, upsert: &Value, delete: &Value) -> Frame {
        frame(&json!({"type":"delta","view":"v","from":format!("1-a-{from}"),"cursor":format!("1-a-{to}"),
            "upsert":upsert,"delete":delete}))
    }

    fn shown(table: &Table) -> Vec<String> {
        table.rows().map(|r| key_text(r)).collect()
    }

    #[test]
    fn a_snapshot_swaps_the_table_at_its_last_piece() {
        let mut table = table();
        table.apply(piece(&["a"], &[1], Some("1-a-3"))).unwrap();
        assert_eq!(table.apply(piece(&["b"], &[2], None)), Ok(Change::Nothing));
        assert_eq!((shown(&table), table.cursor()), (vec![r#"["a",1]"#.to_owned()], Some("1-a-3")));
        assert_eq!(table.apply(piece(&["c"], &[3], Some("1-a-7"))), Ok(Change::Swapped { reset: false }));
        assert_eq!(shown(&table), [r#"["b",2]"#, r#"["c",3]"#]);
        assert_eq!(table.cursor(), Some("1-a-7"));
    }

    #[test]
    fn pieces_cut_off_by_a_lost_connection_leave_nothing_behind() {
        let mut table = table();
        table.apply(piece(&["ghost"], &[1], None)).unwrap();
        let again = table.columns().to_vec();
        table
            .subscribed(&Subscribed { reference: 2, view: "v".into(), key: vec!["k".into()], columns: again })
            .unwrap();
        table.apply(piece(&["a"], &[1], Some("1-a-3"))).unwrap();
        assert_eq!(shown(&table), [r#"["a",1]"#]);
    }

    #[test]
    fn a_delta_is_right_for_any_cursor_between_its_ends() {
        let mut table = table();
        table.apply(piece(&["a", "b"], &[1, 1], Some("1-a-5"))).unwrap();
        let change = table.apply(delta(2, 9, &json!([["b", 2], ["c", 2]]), &json!([["a"], ["never"]]))).unwrap();
        assert!(matches!(change, Change::Changed { upserts, deletes } if upserts.len() == 2 && deletes.len() == 2));
        assert_eq!(shown(&table), [r#"["b",2]"#, r#"["c",2]"#]);
        assert_eq!(table.cursor(), Some("1-a-9"));
        assert_eq!(table.apply(delta(4, 9, &json!([["old", 0]]), &json!([]))), Ok(Change::Nothing));
        assert_eq!(table.apply(delta(4, 8, &json!([["old", 0]]), &json!([]))), Ok(Change::Nothing));
        assert_eq!((table.len(), table.cursor()), (2, Some("1-a-9")));
    }

    #[test]
    fn an_empty_delta_moves_the_cursor() {
        let mut table = table();
        table.apply(piece(&["a"], &[1], Some("1-a-5"))).unwrap();
        table.apply(delta(5, 30, &json!([]), &json!([]))).unwrap();
        assert_eq!((table.len(), table.cursor()), (1, Some("1-a-30")));
    }

    #[test]
    fn a_gap_is_refused_and_changes_nothing() {
        let mut table = table();
        assert!(matches!(
            table.apply(delta(0, 3, &json!([["a", 1]]), &json!([]))),
            Err(TableError::Gap { at: None, .. })
        ));
        table.apply(piece(&["a"], &[1], Some("1-a-5"))).unwrap();
        assert!(matches!(table.apply(delta(6, 7, &json!([["a", 9]]), &json!([]))), Err(TableError::Gap { .. })));
        for other in ["2-a-5", "1-b-5"] {
            let to = other.replace("-5", "-6");
            assert_eq!(step(Some("1-a-5"), other, &to), Ok(Step::Gap));
        }
        assert_eq!((shown(&table), table.cursor()), (vec![r#"["a",1]"#.to_owned()], Some("1-a-5")));
        assert!(step(Some("1-a-5"), "nonsense", "1-a-6").is_err());
    }

    #[test]
    fn a_frame_of_another_width_is_refused_whole() {
        let mut table = table();
        assert!(matches!(
            table.apply(frame(&json!({"type":"snapshot","view":"v","cursor":"1-a-1","data":[[1]]}))),
            Err(TableError::Width { expected: 2, found: 1 })
        ));
        let ragged = json!({"type":"snapshot","view":"v","cursor":"1-a-1","data":[["a","b"],[1]]});
        assert_eq!(table.apply(frame(&ragged)), Err(TableError::Ragged));
        table.apply(piece(&["a"], &[1], Some("1-a-1"))).unwrap();
        assert!(table.apply(delta(1, 2, &json!([["b", 2], ["c"]]), &json!([]))).is_err());
        assert_eq!((shown(&table), table.cursor()), (vec![r#"["a",1]"#.to_owned()], Some("1-a-1")));
    }

    #[test]
    fn other_columns_empty_the_table() {
        let mut table = table();
        table.apply(piece(&["a"], &[1], Some("1-a-5"))).unwrap();
        let subscribed =
            json!({"type":"subscribed","ref":1,"view":"v","key":["k"],"columns":[{"name":"k","type":"text"}]});
        table.apply(frame(&subscribed)).unwrap();
        assert_eq!((table.len(), table.cursor()), (0, None));
    }

    #[test]
    fn the_object_over_http_brings_its_own_columns() {
        let mut table = Table::new();
        let whole = json!({"type":"snapshot","view":"v","key":["k"],"cursor":"1-a-2","data":[["a"]],
            "columns":[{"name":"k","type":"text"}]});
        table.apply(frame(&whole)).unwrap();
        assert_eq!(table.get(&[json!("a")]).map(|r| r.len()), Some(1));
        assert_eq!(table.key()[0].name, "k");
    }
}
