//! Parquet files.

use std::{fs, fs::File, path::Path, sync::Arc, time::Duration};

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    LargeStringArray, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    UInt64Array,
    builder::{ListBuilder, StringBuilder},
};
use config::{FileFormat, StreamColumn};
use model::{DataType, Reason};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use sources::{FileSource, Limits, Replayable, SourceError};
use tempfile::TempDir;

use super::{
    column,
    file::{outcome, read_until},
    rows,
};

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, group_rows: usize) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)));
    let batch = batch.expect("a batch");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_compression(Compression::SNAPPY)
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).expect("creates"), batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("writes");
    writer.close().expect("closes");
}

fn open(path: &Path, columns: &[StreamColumn], follow: bool, limits: Limits) -> Result<FileSource, SourceError> {
    let source = config::FileSource { path: path.to_owned(), format: FileFormat::Parquet, follow };
    Ok(FileSource::open(&source, columns, None, limits)?.paced(1, Duration::from_millis(1)))
}

fn read_all(source: &mut FileSource) -> Vec<sources::Read> {
    let mut reads = Vec::new();
    loop {
        reads.push(source.read().expect("reads"));
        if reads.last().is_some_and(|r| r.ended) {
            return reads;
        }
    }
}

fn list(items: &[Option<&[Option<&str>]>]) -> ListArray {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for item in items {
        match item {
            Some(texts) => builder.append_value(texts.iter().copied()),
            None => builder.append_null(),
        }
    }
    builder.finish()
}

#[test]
fn columns_of_the_streams_types_are_taken_as_they_are() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("a.parquet");
    write(
        &path,
        vec![
            ("ignored", Arc::new(Int32Array::from(vec![1, 2]))),
            ("json", Arc::new(StringArray::from(vec![Some("{ \"a\": [1] }"), None]))),
            ("text", Arc::new(StringArray::from(vec![Some("ü"), None]))),
            ("bigint", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
            ("int", Arc::new(Int32Array::from(vec![Some(-7), None]))),
            ("double", Arc::new(Float64Array::from(vec![Some(0.1), None]))),
            (
                "decimal",
                Arc::new(
                    Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(18, 2).expect("a decimal"),
                ),
            ),
            ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("timestamp", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None]).with_timezone("UTC"))),
            ("date", Arc::new(Date32Array::from(vec![Some(19_782), None]))),
            ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None]))),
            ("text[]", Arc::new(list(&[Some(&[Some("a"), None]), None]))),
        ],
        10,
    );
    let columns: Vec<StreamColumn> = DataType::ALL.iter().map(|t| column(t.name(), *t)).collect();
    let all = outcome(&read_all(&mut open(&path, &columns, false, Limits::default()).expect("opens")));
    let expected = concat!(
        r#"{"text":"ü","bigint":"-9223372036854775808","int":-7,"double":0.1,"decimal":"-0.05","boolean":true,"#,
        r#""timestamp":-1,"date":"2024-02-29","bytes":"AP8=","text[]":["a",null],"json":{"a":[1]}}"#
    );
    assert_eq!(all.0[0], expected);
    assert!(all.0[1].matches("null").count() == 11 && all.1.is_empty(), "{all:?}");
    // Without the column that is checked value by value, whole columns are taken.
    let most = open(&path, &columns[..10], false, Limits::default());
    let quick = outcome(&read_all(&mut most.expect("opens"))).0;
    assert_eq!(format!("{},\"json\":{{\"a\":[1]}}}}", quick[0].trim_end_matches('}')), expected);
}

#[test]
fn other_types_are_cast_where_that_is_exact_and_else_dead_letters() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("a.parquet");
    write(
        &path,
        vec![
            ("n", Arc::new(UInt64Array::from(vec![1, u64::MAX, 3, 4, 5]))),
            ("price", Arc::new(Float64Array::from(vec![12.34, 1.0, 1.005, 4.0, f64::NAN]))),
            ("when", Arc::new(TimestampMicrosecondArray::from(vec![1_999, 1, 1, i64::MAX, 1]))),
            (
                "day",
                Arc::new(LargeStringArray::from(vec!["2024-02-29", "x", "2024-02-29", "2024-02-29", "2024-02-29"])),
            ),
            (
                "whole",
                Arc::new(
                    Decimal128Array::from(vec![100, 1, 1, 1, 1]).with_precision_and_scale(5, 2).expect("a decimal"),
                ),
            ),
        ],
        2,
    );
    let columns = [
        column("n", DataType::BigInt),
        column("price", DataType::Decimal { precision: 6, scale: 2 }),
        column("when", DataType::Timestamp),
        column("day", DataType::Date),
        column("whole", DataType::BigInt),
        column("missing", DataType::Text),
    ];
    let (found, dead, _) = outcome(&read_all(&mut open(&path, &columns, false, Limits::default()).expect("opens")));
    assert_eq!(found, [r#"{"n":1,"price":"12.34","when":1,"day":"2024-02-29","whole":1,"missing":null}"#]);
    let reasons: Vec<(Reason, &str)> = dead.iter().map(|(reason, message)| (*reason, message.as_str())).collect();
    assert_eq!(
        reasons.iter().map(|(r, _)| *r).collect::<Vec<_>>(),
        [Reason::OutOfRange, Reason::OutOfRange, Reason::OutOfRange, Reason::WrongType]
    );
    assert!(reasons[1].1.contains("1.005 has more digits than decimal(6,2) holds"), "{reasons:?}");
    // A value that needs rounding is no whole number.
    let (found, dead, _) =
        outcome(&read_all(&mut open(&path, &columns[4..5], false, Limits::default()).expect("opens")));
    assert_eq!((found.len(), dead.len()), (1, 4));
    assert_eq!(dead[0].1, "field \"whole\": expected bigint, found number 0.01");
}

#[test]
fn reading_again_from_any_row_gives_the_same() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("a.parquet");
    let numbers: Vec<i64> = (0..10_000).collect();
    let texts: Vec<Option<String>> = numbers
        .iter()
        .map(|i| (i % 7 != 0).then(|| if i % 100 == 5 { "x".repeat(50) } else { i.to_string() }))
        .collect();
    write(&path, vec![("n", Arc::new(Int64Array::from(numbers))), ("t", Arc::new(StringArray::from(texts)))], 1_234);
    let columns = [column("n", DataType::BigInt), StreamColumn { not_null: true, ..column("t", DataType::Text) }];
    let limits = Limits { batch_rows: 700, max_record: 40, ..Limits::default() };
    let reads = read_all(&mut open(&path, &columns, false, limits).expect("opens"));
    let whole = outcome(&reads);
    assert_eq!(whole.0.len() + whole.1.len(), 10_000);
    assert!(whole.1.iter().any(|(r, _)| *r == Reason::TooLarge) && whole.1.iter().any(|(r, _)| *r == Reason::Missing));
    for (i, from) in reads.iter().enumerate() {
        for to in [i + 1, reads.len() - 1] {
            let Some(end) = reads.get(to) else { continue };
            // Batches of other sizes cut the rows elsewhere.
            let limits = Limits { batch_rows: 333, ..limits };
            let mut source = open(&path, &columns, false, limits).expect("opens");
            source.seek(Some(&from.position)).expect("the same file");
            let again = outcome(&read_until(&mut source, &end.position));
            let (found, dead, _) = outcome(&reads[i + 1..=to]);
            assert_eq!((again.0, again.1), (found, dead));
        }
    }
}

#[test]
fn files_of_a_pattern_come_when_they_are_whole_and_another_one_is_said() {
    let dir = TempDir::new().expect("a directory");
    let path = |i: usize| dir.path().join(format!("{i}.parquet"));
    let numbers = |from: i64| vec![("n", Arc::new(Int64Array::from_iter_values(from..from + 3)) as ArrayRef)];
    let columns = [column("n", DataType::BigInt)];
    write(&path(1), numbers(0), 10);
    let mut source = open(&dir.path().join("*.parquet"), &columns, true, Limits::default()).expect("opens");
    let mut rest = || {
        let mut found = Vec::new();
        for _ in 0..6 {
            found.extend(rows(&source.read().expect("reads").batches));
        }
        (found.len(), source.read().expect("reads").position)
    };
    assert_eq!(rest().0, 3);
    // Half a file is not read.
    write(&dir.path().join("whole"), numbers(3), 10);
    let whole = fs::read(dir.path().join("whole")).expect("reads");
    fs::write(path(2), &whole[..whole.len() / 2]).expect("writes");
    assert_eq!(rest().0, 0);
    fs::write(path(2), &whole).expect("writes");
    let (found, position) = rest();
    assert_eq!(found, 3);
    // Another file of the name.
    write(&path(2), numbers(100), 10);
    let error = open(&dir.path().join("*.parquet"), &columns, true, Limits::default())
        .and_then(|mut source| source.seek(Some(&position)))
        .expect_err("another file");
    assert!(matches!(error, SourceError::Changed { .. }), "{error}");
}

#[test]
fn what_is_no_parquet_is_said_and_damage_ends_no_thread() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("a.parquet");
    fs::write(&path, "no parquet").expect("writes");
    let columns = [column("n", DataType::BigInt), column("t", DataType::Text)];
    let error = open(&path, &columns, false, Limits::default()).expect_err("no Parquet").to_string();
    assert!(error.contains("not a Parquet file"), "{error}");
    let texts: Vec<String> = (0..500).map(|i| format!("text {i}")).collect();
    write(
        &path,
        vec![("n", Arc::new(Int64Array::from_iter_values(0..500))), ("t", Arc::new(StringArray::from(texts)))],
        100,
    );
    let good = fs::read(&path).expect("reads");
    let needed = [StreamColumn { not_null: true, ..column("ts", DataType::Timestamp) }];
    let error = open(&path, &needed, false, Limits::default()).expect_err("no `ts`").to_string();
    assert!(error.contains("lacks \"ts\", which every record needs; it has n, t"), "{error}");
    // Each byte of it broken once: rows or an error, and never more rows than there are.
    let mut failed = 0;
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&path, bad).expect("writes");
        let Ok(mut source) = open(&path, &columns, false, Limits::default()) else {
            failed += 1;
            continue;
        };
        let mut found = 0;
        loop {
            match source.read() {
                Ok(read) => found += read.batches.iter().map(RecordBatch::num_rows).sum::<usize>() + read.dead.len(),
                Err(_) => {
                    failed += 1;
                    break;
                }
            }
            assert!(found <= 100_000, "rows without end");
            if source.read().is_ok_and(|read| read.ended) {
                break;
            }
        }
    }
    assert!(failed > 10, "nothing was broken");
}
