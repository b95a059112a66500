//! Rows as plain values, to and from Arrow.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray, cast::AsArray, types::*,
};
use arrow_schema::SchemaRef;
use feed::{Changes, Delta, Feed, Options};
use model::{Column, DataType, FeedKind, FeedSchema, Offset, RowChanges, Schema};

/// A value that can be compared and ordered; doubles by their bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    Null,
    Whole(i64),
    Double(u64),
    Bool(bool),
    Text(String),
}

pub type Row = Vec<Cell>;

/// By key.
pub type Rows = BTreeMap<Row, Row>;

pub const KEY_LEN: usize = 2;

/// All types, with and without nulls; a text and a bigint as key.
pub fn schema(kind: FeedKind) -> FeedSchema {
    let columns = vec![
        Column::new("name", DataType::Text),
        Column::new("part", DataType::BigInt).not_null(),
        Column::new("value", DataType::Double),
        Column::new("note", DataType::Text),
        Column::new("ok", DataType::Boolean),
        Column::new("n", DataType::Int),
        Column::new("at", DataType::Timestamp).not_null(),
        Column::new("meta", DataType::Json),
    ];
    FeedSchema { name: "f".to_owned(), schema: Schema::new(columns), key_len: KEY_LEN, kind }
}

pub fn options(max_tombstones: usize) -> Options {
    Options { max_tombstones, ..Options::default() }
}

/// The key of a number: some share a name, some have none.
pub fn key(number: u32) -> Row {
    let name = match number % 5 {
        0 => Cell::Null,
        1 => Cell::Text(String::new()),
        2 => Cell::Text("a".to_owned()),
        3 => Cell::Text("ñ😀".to_owned()),
        _ => Cell::Text("a name longer than the others".to_owned()),
    };
    vec![name, Cell::Whole(i64::from(number / 5) - 3)]
}

/// The row of a key; few variants, so that rows often stay as they were.
pub fn row(number: u32, variant: u8) -> Row {
    let mut row = key(number);
    let doubles = [0.0, -0.0, f64::NAN, 1.5, f64::INFINITY];
    let v = usize::from(variant);
    row.push(if v % 6 == 5 { Cell::Null } else { Cell::Double(doubles[v % 6].to_bits()) });
    row.push(if v % 3 == 2 { Cell::Null } else { Cell::Text("é".repeat(v % 3 * v)) });
    row.push(if v % 4 == 3 { Cell::Null } else { Cell::Bool(v % 4 == 1) });
    row.push(if v % 5 == 4 { Cell::Null } else { Cell::Whole(i64::from(v as i32 % 5 - 2)) });
    row.push(Cell::Whole(i64::from(variant / 2)));
    row.push(if v % 2 == 1 { Cell::Null } else { Cell::Text(format!("{{\"v\":{}}}", v / 4)) });
    row
}

fn column(data_type: DataType, cells: impl Iterator<Item = Cell>) -> ArrayRef {
    let whole = |c: Cell| if let Cell::Whole(v) = c { Some(v) } else { None };
    let text = |c: Cell| if let Cell::Text(v) = c { Some(v) } else { None };
    match data_type {
        DataType::BigInt => Arc::new(cells.map(whole).collect::<Int64Array>()),
        DataType::Timestamp => Arc::new(cells.map(whole).collect::<TimestampMillisecondArray>()),
        DataType::Int => Arc::new(cells.map(|c| whole(c).map(|v| v as i32)).collect::<Int32Array>()),
        DataType::Double => {
            let double = |c| if let Cell::Double(bits) = c { Some(f64::from_bits(bits)) } else { None };
            Arc::new(cells.map(double).collect::<Float64Array>())
        }
        DataType::Boolean => {
            Arc::new(cells.map(|c| if let Cell::Bool(v) = c { Some(v) } else { None }).collect::<BooleanArray>())
        }
        DataType::Text | DataType::Json => Arc::new(cells.map(text).collect::<StringArray>()),
        other => panic!("no feed of these tests has a column of {other}"),
    }
}

/// Rows as a batch of these columns.
pub fn batch(columns: &[Column], arrow: SchemaRef, rows: &[Row]) -> RecordBatch {
    let arrays = columns.iter().enumerate().map(|(i, c)| column(c.data_type, rows.iter().map(move |r| r[i].clone())));
    RecordBatch::try_new(arrow, arrays.collect()).unwrap()
}

/// A tick's changes.
pub fn changes(schema: &FeedSchema, upserts: &[(Row, i64)], deletes: &[Row]) -> RowChanges {
    let rows: Vec<Row> = upserts.iter().map(|(row, _)| row.clone()).collect();
    RowChanges {
        upserts: batch(&schema.schema.columns, schema.schema.to_arrow(), &rows),
        times: upserts.iter().map(|(_, time)| *time).collect(),
        deletes: batch(schema.key(), schema.key_arrow(), deletes),
    }
}

/// The rows of a batch.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let cell = |array: &ArrayRef, row: usize| {
        use arrow_schema::DataType as Arrow;
        if array.is_null(row) {
            return Cell::Null;
        }
        match array.data_type() {
            Arrow::Int64 => Cell::Whole(array.as_primitive::<Int64Type>().value(row)),
            Arrow::Timestamp(..) => Cell::Whole(array.as_primitive::<TimestampMillisecondType>().value(row)),
            Arrow::Int32 => Cell::Whole(array.as_primitive::<Int32Type>().value(row).into()),
            Arrow::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
            Arrow::Boolean => Cell::Bool(array.as_boolean().value(row)),
            _ => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        }
    };
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|array| cell(array, row)).collect()).collect()
}

/// A client's table after these changes. A key twice in one delta or snapshot fails.
pub fn applied(mut table: Rows, changes: &Changes) -> Rows {
    match changes {
        Changes::Snapshot(snapshot) => {
            let all: Vec<Row> = snapshot.batches().flat_map(|batch| rows(&batch)).collect();
            assert_eq!(all.len(), snapshot.len());
            let table: Rows = all.into_iter().map(|row| (row[..KEY_LEN].to_vec(), row)).collect();
            assert_eq!(table.len(), snapshot.len(), "a key stands twice in a snapshot");
            table
        }
        Changes::Delta(delta) => {
            apply_delta(&mut table, delta);
            table
        }
    }
}

pub fn apply_delta(table: &mut Rows, delta: &Delta) {
    let mut seen = std::collections::BTreeSet::new();
    for row in rows(&delta.upserts) {
        let key = row[..KEY_LEN].to_vec();
        assert!(seen.insert(key.clone()), "{key:?} stands twice in a delta");
        table.insert(key, row);
    }
    for key in rows(&delta.deletes) {
        assert!(seen.insert(key.clone()), "{key:?} stands twice in a delta");
        table.remove(&key);
    }
}

/// What a new client gets.
pub fn table_of(feed: &mut Feed) -> Rows {
    let changes = feed.changes_since(None);
    assert!(matches!(changes, Changes::Snapshot(_)));
    applied(Rows::new(), &changes)
}

/// The delta since a cursor that can be resumed.
pub fn delta(feed: &mut Feed, since: Offset) -> Arc<Delta> {
    match feed.changes_since(Some(since)) {
        Changes::Delta(delta) => delta,
        Changes::Snapshot(_) => panic!("cursor {since} was refused, the floor is {}", feed.floor()),
    }
}
