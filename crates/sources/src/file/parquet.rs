//! One Parquet file, batch by batch.
//!
//! Its columns are matched by name. A batch whose columns have the stream's types already is
//! taken as it is; of any other, each row goes the way that MessagePack's go, and is refused
//! for the same reasons. The offset is the number of the row in the file, so that it says
//! its row group and its row there.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, Decimal128Array, ListArray, RecordBatch, TimestampMillisecondArray,
    cast::AsArray,
    new_null_array,
    types::{
        Date32Type, Decimal128Type, DecimalType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::{DataType as Arrow, Field, SchemaRef, TimeUnit};
use config::StreamColumn;
use model::DataType;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    },
};

use super::{input::Input, position::hash, text::Piece};
use crate::{
    decode::{Cell, Decoder, Head, checked_millis, date_text},
    replay::SourceError,
    row_as_json,
};

/// How many bytes at the file's end tell it from another: they hold where each column lies.
const TAIL: u64 = 1024;
/// What a whole file ends with.
const MAGIC: &[u8] = b"PAR1";

/// What a stream wants of a file.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    schema: SchemaRef,
    wanted: Vec<StreamColumn>,
}

impl Columns {
    pub fn new(columns: &[StreamColumn], decoder: &Decoder) -> Self {
        Self { schema: decoder.schema(), wanted: columns.to_vec() }
    }
}

/// A file that is being read.
pub(super) struct ParquetFile {
    input: Input,
    columns: Columns,
    metadata: ArrowReaderMetadata,
    /// The file's columns that are read, and for each of the stream's the number among them.
    roots: Vec<usize>,
    of_column: Vec<Option<usize>>,
    rows: u64,
    tail: u64,
    offset: u64,
    /// Reads from `offset` to a limit.
    reader: Option<(ParquetRecordBatchReader, Option<u64>)>,
}

/// Whether the file is written to its end.
pub(super) fn is_whole(path: &Path) -> bool {
    let end = || -> io::Result<[u8; 4]> {
        let file = File::open(path)?;
        let mut end = [0; 4];
        let at = file.metadata()?.len().checked_sub(4).ok_or(io::ErrorKind::UnexpectedEof)?;
        file.read_exact_at(&mut end, at)?;
        Ok(end)
    };
    end().is_ok_and(|end| end == MAGIC)
}

/// The library is made to return errors, but a damaged file may still find a way to a panic,
/// and that would end the thread that reads.
fn guarded<T>(input: &Input, work: impl FnOnce() -> Result<T, String>) -> Result<T, SourceError> {
    let done = catch_unwind(AssertUnwindSafe(work));
    let done = done.unwrap_or_else(|_| Err("the file is damaged".to_owned()));
    done.map_err(|message| input.failed(io::Error::new(io::ErrorKind::InvalidData, message)))
}

impl ParquetFile {
    pub fn new(input: Input, columns: &Columns, offset: u64) -> Result<Self, SourceError> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = guarded(&input, || {
            ArrowReaderMetadata::load(input.file(), options).map_err(|e| format!("not a Parquet file: {e}"))
        })?;
        let fields = metadata.schema().fields();
        let mut roots = Vec::new();
        let mut names = Vec::new();
        for (column, field) in columns.wanted.iter().zip(columns.schema.fields()) {
            let root = fields.iter().position(|f| f.name() == &column.from);
            if root.is_none() && !field.is_nullable() {
                let found: Vec<&str> = fields.iter().map(|f| f.name().as_str()).take(50).collect();
                let message = format!(
                    "the file lacks \"{}\", which every record needs; it has {}",
                    column.from,
                    found.join(", ")
                );
                return Err(SourceError::Header { path: input.path().to_owned(), message });
            }
            roots.extend(root);
            names.push(root);
        }
        roots.sort_unstable();
        roots.dedup();
        let of_column = names.into_iter().map(|root| roots.binary_search(&root?).ok()).collect();
        let rows = metadata.metadata().row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0)).sum();
        let tail = tail(&input)?;
        let file =
            Self { input, columns: columns.clone(), metadata, roots, of_column, rows, tail, offset, reader: None };
        if offset > rows { Err(file.changed()) } else { Ok(file) }
    }

    pub fn input(&self) -> &Input {
        &self.input
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What tells the file from another.
    pub fn head(&self) -> u64 {
        self.tail
    }

    pub fn changed(&self) -> SourceError {
        self.input.changed("its row groups are others")
    }

    /// The next rows, none behind `limit` if there is one.
    pub fn read(&mut self, decoder: &mut Decoder, limit: Option<u64>) -> Result<Piece, SourceError> {
        let end = limit.unwrap_or(self.rows);
        if end > self.rows {
            return Err(self.changed());
        }
        if self.offset == end {
            return Ok(Piece { at_end: true, ..Piece::default() });
        }
        let reader = self.reader.take().filter(|(_, to)| *to == limit).map(|(reader, _)| reader);
        let batch_rows = decoder.limits().batch_rows;
        let (reader, batch) = guarded(&self.input, || {
            let mut reader = match reader {
                Some(reader) => reader,
                None => self.reader(end, batch_rows)?,
            };
            let batch = reader.next().transpose().map_err(|e| e.to_string())?;
            Ok((reader, batch.ok_or("it has fewer rows than it says")?))
        })?;
        let rows = batch.num_rows() as u64;
        if rows == 0 || self.offset + rows > end {
            return Err(self.changed());
        }
        let mut piece = match self.as_it_is(&batch, decoder.limits().max_record) {
            Some(batch) => Piece { batches: vec![batch], ..Piece::default() },
            None => self.row_by_row(&batch, decoder),
        };
        self.offset += rows;
        self.reader = Some((reader, limit));
        piece.at_end = self.offset == self.rows;
        Ok(piece)
    }

    fn reader(&self, end: u64, batch_rows: usize) -> Result<ParquetRecordBatchReader, String> {
        // Whole row groups before the offset are not touched.
        let (mut before, mut first) = (0, 0);
        let groups = self.metadata.metadata().row_groups();
        for group in groups {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if before + rows > self.offset {
                break;
            }
            (before, first) = (before + rows, first + 1);
        }
        let file = self.input.file().try_clone().map_err(|e| e.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), self.roots.iter().copied());
        let count = |rows: u64| usize::try_from(rows).map_err(|e| e.to_string());
        let builder = builder
            .with_projection(mask)
            .with_row_groups((first..groups.len()).collect())
            .with_offset(count(self.offset - before)?)
            .with_limit(count(end - self.offset)?)
            .with_batch_size(batch_rows);
        builder.build().map_err(|e| e.to_string())
    }

    /// The batch in the stream's schema, if every value of it is one of the stream's.
    fn as_it_is(&self, batch: &RecordBatch, max_record: usize) -> Option<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.of_column.len());
        for ((column, of_column), field) in
            self.columns.wanted.iter().zip(&self.of_column).zip(self.columns.schema.fields())
        {
            let Some(of_column) = of_column else {
                arrays.push(new_null_array(field.data_type(), batch.num_rows()));
                continue;
            };
            let array = batch.column(*of_column);
            if array.null_count() > 0 && !field.is_nullable() {
                return None;
            }
            arrays.push(same(array, column.data_type, max_record)?);
        }
        RecordBatch::try_new(Arc::clone(&self.columns.schema), arrays).ok()
    }

    fn row_by_row(&self, batch: &RecordBatch, decoder: &mut Decoder) -> Piece {
        decoder.begin_rows();
        let mut taken = 0;
        for row in 0..batch.num_rows() {
            let cells = self.of_column.iter().map(|of_column| match of_column {
                Some(index) => cell(batch.column(*index).as_ref(), row),
                None => Cell::Missing,
            });
            let cells: Vec<Cell<'_>> = cells.collect();
            taken += 1 + cells.iter().map(size).sum::<usize>();
            decoder.push_row(cells.into_iter(), taken, || row_as_json(batch, row));
        }
        let decoded = decoder.end_rows(taken);
        let dead = decoded.rejected.into_iter().map(|r| r.letter).collect();
        Piece { batches: decoded.batches, dead, at_end: false }
    }
}

/// The hash of the file's end and length.
fn tail(input: &Input) -> Result<u64, SourceError> {
    let len = input.disk_len()?;
    let mut tail = vec![0; len.min(TAIL) as usize];
    let at = len - tail.len() as u64;
    input.file().read_exact_at(&mut tail, at).map_err(|e| input.failed(e))?;
    tail.extend_from_slice(&len.to_le_bytes());
    Ok(hash(&tail))
}

/// The array as a column of a type, if it is that already and all its values are within
/// what the type holds.
fn same(array: &ArrayRef, data_type: DataType, max_record: usize) -> Option<ArrayRef> {
    let all = |fits: bool| fits.then(|| Arc::clone(array));
    match (data_type, array.data_type()) {
        (DataType::Text, Arrow::Utf8) => all(array.as_string::<i32>().value_data().len() <= max_record),
        (DataType::Bytes, Arrow::Binary) => all(array.as_binary::<i32>().value_data().len() <= max_record),
        (DataType::BigInt, Arrow::Int64) | (DataType::Int, Arrow::Int32) | (DataType::Boolean, Arrow::Boolean) => {
            all(true)
        }
        (DataType::Double, Arrow::Float64) => {
            all(array.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite))
        }
        (DataType::Date, Arrow::Date32) => {
            all(array.as_primitive::<Date32Type>().iter().flatten().all(|days| date_text(days).is_some()))
        }
        (DataType::Decimal { precision, scale }, Arrow::Decimal128(p, s)) if (*p, *s) == (precision, scale as i8) => {
            let array: &Decimal128Array = array.as_primitive::<Decimal128Type>();
            all(array.validate_decimal_precision(precision).is_ok())
        }
        (DataType::Timestamp, Arrow::Timestamp(TimeUnit::Millisecond, _)) => {
            let array: &TimestampMillisecondArray = array.as_primitive::<TimestampMillisecondType>();
            let fits = array.iter().flatten().all(|millis| checked_millis(millis).is_ok());
            fits.then(|| Arc::new(array.clone().with_timezone_opt::<Arc<str>>(None)) as ArrayRef)
        }
        (DataType::TextList, Arrow::List(item)) if item.data_type() == &Arrow::Utf8 => {
            let list: &ListArray = array.as_list::<i32>();
            let texts = list.values().as_string::<i32>();
            let field = Arc::new(Field::new_list_field(Arrow::Utf8, true));
            let fits = texts.value_data().len() + texts.len() <= max_record;
            let list = fits.then(|| {
                ListArray::try_new(field, list.offsets().clone(), Arc::clone(list.values()), list.nulls().cloned())
            });
            Some(Arc::new(list?.ok()?) as ArrayRef)
        }
        _ => None,
    }
}

/// About how many bytes a cell takes in a batch.
fn size(cell: &Cell<'_>) -> usize {
    match cell {
        Cell::Value(Head::Text(bytes) | Head::Bytes(bytes)) => bytes.len(),
        Cell::Texts(items) => items.iter().map(|item| item.map_or(1, |text| text.len() + 1)).sum(),
        _ => 0,
    }
}

/// One value of an array.
fn cell(array: &dyn Array, row: usize) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Value(Head::Nil);
    }
    macro_rules! integer {
        ($type:ty) => {
            Head::Integer(i64::from(array.as_primitive::<$type>().value(row)))
        };
    }
    macro_rules! time {
        ($type:ty, $to_millis:expr) => {{
            let to_millis: fn(i64) -> i64 = $to_millis;
            Head::Time(to_millis(array.as_primitive::<$type>().value(row)))
        }};
    }
    Cell::Value(match array.data_type() {
        Arrow::Null => Head::Nil,
        Arrow::Boolean => Head::Boolean(array.as_boolean().value(row)),
        Arrow::Int8 => integer!(Int8Type),
        Arrow::Int16 => integer!(Int16Type),
        Arrow::Int32 => integer!(Int32Type),
        Arrow::Int64 => integer!(Int64Type),
        Arrow::UInt8 => integer!(UInt8Type),
        Arrow::UInt16 => integer!(UInt16Type),
        Arrow::UInt32 => integer!(UInt32Type),
        Arrow::UInt64 => {
            let value = array.as_primitive::<UInt64Type>().value(row);
            i64::try_from(value).map_or(Head::Large(value), Head::Integer)
        }
        Arrow::Float32 => Head::Single(array.as_primitive::<Float32Type>().value(row)),
        Arrow::Float64 => Head::Double(array.as_primitive::<Float64Type>().value(row)),
        Arrow::Utf8 => Head::Text(array.as_string::<i32>().value(row).as_bytes()),
        Arrow::Binary => Head::Bytes(array.as_binary::<i32>().value(row)),
        Arrow::FixedSizeBinary(_) => Head::Bytes(array.as_fixed_size_binary().value(row)),
        // What is finer than a millisecond is cut towards the past, as everywhere.
        Arrow::Timestamp(TimeUnit::Second, _) => time!(TimestampSecondType, |v| v.saturating_mul(1000)),
        Arrow::Timestamp(TimeUnit::Millisecond, _) => time!(TimestampMillisecondType, |v| v),
        Arrow::Timestamp(TimeUnit::Microsecond, _) => time!(TimestampMicrosecondType, |v| v.div_euclid(1000)),
        Arrow::Timestamp(TimeUnit::Nanosecond, _) => time!(TimestampNanosecondType, |v| v.div_euclid(1_000_000)),
        Arrow::Decimal128(precision, scale) => {
            let value = array.as_primitive::<Decimal128Type>().value(row);
            return Cell::Number(Decimal128Type::format_decimal(value, *precision, *scale));
        }
        Arrow::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            return date_text(days)
                .map_or_else(|| Cell::Other("a day outside of the years 0001 to 9999".to_owned()), Cell::Day);
        }
        Arrow::List(item) if item.data_type() == &Arrow::Utf8 => {
            let list = array.as_list::<i32>();
            let texts = list.values().as_string::<i32>();
            let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
            return Cell::Texts((start..end).map(|i| texts.is_valid(i).then(|| texts.value(i))).collect());
        }
        Arrow::Struct(_) => return Cell::Other("a struct".to_owned()),
        Arrow::Map(..) => return Cell::Other("a map".to_owned()),
        Arrow::List(_) => return Cell::Other("a list of other values".to_owned()),
        other => return Cell::Other(format!("a value of type {other}")),
    })
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile").field("input", &self.input).field("offset", &self.offset).finish_non_exhaustive()
    }
}
