//! A stream's schema changes; its old entries are read in the new one.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, cast::AsArray};
use model::{Column, DataType, Schema};

use crate::{commit, open};

fn old() -> RecordBatch {
    let schema = Schema::new(vec![
        Column::new("gone", DataType::Text),
        Column::new("text", DataType::Text),
        Column::new("number", DataType::BigInt),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["x", "y", "z"])),
        Arc::new(StringArray::from(vec![Some("1.5"), Some("no number"), None])),
        Arc::new(Int64Array::from(vec![1, 2, 3])),
    ];
    RecordBatch::try_new(schema.to_arrow(), columns).unwrap()
}

#[test]
fn columns_are_cast_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    commit(&mut opened.log, 1, &[("s".into(), old())]).unwrap();
    drop(opened);

    let today = Schema::new(vec![
        Column::new("number", DataType::Double),
        Column::new("new", DataType::Boolean),
        Column::new("text", DataType::Double),
    ])
    .to_arrow();
    let mut opened = open(dir.path());
    opened.log.set_schemas(&[("s".into(), Arc::clone(&today))]).unwrap();
    let entries = opened.log.entries(1).unwrap();
    let batch = &entries[0].1;
    assert_eq!(batch.schema(), today);
    assert_eq!(batch.column(0).as_ref(), &Float64Array::from(vec![1.0, 3.0]) as &dyn Array);
    assert_eq!(batch.column(1).as_boolean().null_count(), 2);
    assert_eq!(batch.column(2).as_ref(), &Float64Array::from(vec![Some(1.5), None]) as &dyn Array);
    assert_eq!(opened.log.left_out("s"), 1, "a text that is no number");

    // Old and new entries stand side by side, each under its own schema.
    let new = RecordBatch::new_empty(Arc::clone(&today));
    commit(&mut opened.log, 2, &[("s".into(), batch.clone()), ("s".into(), old()), ("s".into(), new)]).unwrap();
    let rows: Vec<_> = opened.log.entries(2).unwrap().iter().map(|(_, b)| (b.num_rows(), b.schema())).collect();
    assert_eq!(rows, [(2, Arc::clone(&today)), (2, Arc::clone(&today)), (0, today)]);
}

#[test]
fn rows_that_today_would_be_refused_are_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    commit(&mut opened.log, 1, &[("s".into(), old())]).unwrap();
    let today = Schema::new(vec![
        Column::new("text", DataType::Double).not_null(),
        Column::new("number", DataType::BigInt).not_null(),
    ]);
    opened.log.set_schemas(&[("s".into(), today.to_arrow())]).unwrap();
    let entries = opened.log.entries(1).unwrap();
    assert_eq!(entries[0].1.column(1).as_ref(), &Int64Array::from(vec![1]) as &dyn Array);
    assert_eq!(opened.log.left_out("s"), 2);
}

#[test]
fn a_json_mark_survives() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path());
    commit(&mut opened.log, 1, &[crate::entry("events", 1, 2)]).unwrap();
    drop(opened);
    let mut opened = open(dir.path());
    let batch = opened.log.entries(1).unwrap().remove(0).1;
    assert_eq!(Column::from_field(batch.schema().field(3)).unwrap().data_type, DataType::Json);
}

/// What another type does not hold is left out, and not bent.
#[test]
fn a_value_that_would_be_another_is_left_out() {
    let kept = |old: ArrayRef, of: DataType, today: DataType| {
        let dir = tempfile::tempdir().unwrap();
        let mut opened = open(dir.path());
        let schema = Schema::new(vec![Column::new("v", of)]).to_arrow();
        let rows = old.len();
        commit(&mut opened.log, 1, &[("s".into(), RecordBatch::try_new(schema, vec![old]).unwrap())]).unwrap();
        opened.log.set_schemas(&[("s".into(), Schema::new(vec![Column::new("v", today)]).to_arrow())]).unwrap();
        let kept = opened.log.entries(1).unwrap()[0].1.num_rows();
        assert_eq!(opened.log.left_out("s") as usize, rows - kept);
        kept
    };
    let doubles =
        || Arc::new(Float64Array::from(vec![Some(1.0), Some(1.5), Some(1e300), Some(f64::NAN), None])) as ArrayRef;
    let bigints = || Arc::new(Int64Array::from(vec![Some(0), Some(1), Some(-2), Some(1 << 40), None])) as ArrayRef;
    assert_eq!(kept(doubles(), DataType::Double, DataType::BigInt), 2);
    assert_eq!(kept(doubles(), DataType::Double, DataType::Text), 5);
    assert_eq!(kept(bigints(), DataType::BigInt, DataType::Int), 4);
    assert_eq!(kept(bigints(), DataType::BigInt, DataType::Boolean), 3);
    assert_eq!(kept(bigints(), DataType::BigInt, DataType::Text), 5);
}
