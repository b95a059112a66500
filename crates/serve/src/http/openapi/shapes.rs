//! What frames, values and problems look like. The encoders write them without a value of
//! such a type ever being made; the tests of the running server hold them to it.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use model::{Code, DataType};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, RefOr, Schema,
        schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type},
    },
};

use super::operation::{Shape, text};
use crate::{
    http::{dead_letters, feeds, page, query, streams},
    ingest::Receipt,
};

/// Every schema that has a name.
pub fn all() -> Components {
    let mut found = Vec::new();
    add::<streams::Streams>(&mut found);
    add::<Receipt>(&mut found);
    add::<dead_letters::Found>(&mut found);
    add::<dead_letters::Replayed>(&mut found);
    add::<feeds::Feeds>(&mut found);
    add::<feeds::Rebuilding>(&mut found);
    add::<page::Dashboards>(&mut found);
    add::<Dashboard>(&mut found);
    add::<Snapshot>(&mut found);
    add::<Delta>(&mut found);
    add::<query::Asked>(&mut found);
    add::<QueryAnswer>(&mut found);
    add::<Event>(&mut found);
    add::<Problem>(&mut found);
    let mut components = Components::new();
    components.schemas.extend(found);
    components.schemas.extend(DataType::ALL.map(|t| (format!("In.{}", base(t)), taken(t))));
    components
}

fn add<T: ToSchema>(found: &mut Vec<(String, Shape)>) {
    T::schemas(found);
    found.push((T::name().into_owned(), T::schema()));
}

/// Where a client stands in a feed. Opaque: it is given back as it came.
pub enum Cursor {}

impl ToSchema for Cursor {}

impl PartialSchema for Cursor {
    fn schema() -> Shape {
        let about = "Where a client stands in a feed. Opaque: it is given back as it came.";
        text().pattern(Some("^[0-9a-f]{1,8}-[0-9a-f]{1,16}-[0-9]{1,19}$")).description(Some(about)).into()
    }
}

/// The `id` of a dead letter.
pub fn letter_id() -> ObjectBuilder {
    text().pattern(Some("^[0-9]{1,19}-[01]-[0-9]{1,9}$"))
}

/// The type of a column.
pub enum ColumnType {}

impl ToSchema for ColumnType {}

impl PartialSchema for ColumnType {
    fn schema() -> Shape {
        let names: Vec<String> = DataType::ALL.iter().map(|t| pattern(*t)).collect();
        text().pattern(Some(format!("^({})$", names.join("|")))).description(Some("The type of a column.")).into()
    }
}

/// A type's name without what it is of.
fn base(data_type: DataType) -> &'static str {
    match data_type {
        DataType::Text => "text",
        DataType::BigInt => "bigint",
        DataType::Int => "int",
        DataType::Double => "double",
        DataType::Decimal { .. } => "decimal",
        DataType::Boolean => "boolean",
        DataType::Timestamp => "timestamp",
        DataType::Date => "date",
        DataType::Bytes => "bytes",
        DataType::TextList => "texts",
        DataType::Json => "json",
    }
}

fn pattern(data_type: DataType) -> String {
    match data_type {
        DataType::Decimal { .. } => r"decimal\([0-9]{1,2},[0-9]{1,2}\)".to_owned(),
        DataType::TextList => r"text\[\]".to_owned(),
        plain => plain.to_string(),
    }
}

fn of_type(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// What an event may hold in a column of a type; null, where the column is not `not_null`.
fn taken(data_type: DataType) -> Shape {
    let either = |a: ObjectBuilder, b: ObjectBuilder| AnyOfBuilder::new().item(a).item(b);
    match data_type {
        DataType::Text => text().into(),
        DataType::BigInt => {
            let number = of_type(Type::Integer).minimum(Some(i64::MIN as isize)).maximum(Some(i64::MAX as isize));
            either(number, text().pattern(Some("^-?[0-9]{1,18}$")))
                .description(Some("A whole number of 64 bits, or a text of one."))
                .into()
        }
        DataType::Int => {
            of_type(Type::Integer).minimum(Some(i32::MIN as isize)).maximum(Some(i32::MAX as isize)).into()
        }
        DataType::Double => of_type(Type::Number).into(),
        DataType::Decimal { .. } => either(of_type(Type::Number), text().pattern(Some(r"^-?[0-9]+(\.[0-9]+)?$")))
            .description(Some("A number, or a text of one, that fits the column's digits exactly."))
            .into(),
        DataType::Boolean => of_type(Type::Boolean).into(),
        DataType::Timestamp => {
            let millis = of_type(Type::Integer).minimum(Some(YEARS.0)).maximum(Some(YEARS.1));
            let rfc3339 = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
            let about =
                "Milliseconds since 1970, or a text as RFC 3339 has it, without a zone UTC; in the years 0001 to 9999.";
            either(millis, rfc3339).description(Some(about)).into()
        }
        DataType::Date => text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))).into(),
        DataType::Bytes => text()
            .content_encoding("base64")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Byte)))
            .description(Some("Base64, of either alphabet."))
            .into(),
        DataType::TextList => {
            let item = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
            utoipa::openapi::ArrayBuilder::new().items(item).into()
        }
        DataType::Json => ObjectBuilder::new().schema_type(SchemaType::AnyValue).into(),
    }
}

/// The years 0001 to 9999, in milliseconds since 1970.
const YEARS: (isize, isize) = (-62_135_596_800_000, 253_402_300_799_999);

/// An event.
pub enum Event {}

impl ToSchema for Event {}

impl PartialSchema for Event {
    fn schema() -> Shape {
        let about = "A field for each column, by the `from` that `GET /v1/streams` names; the schema of a column's \
                     type is `In.` and that. Other fields are left out.";
        of_type(Type::Object).additional_properties(Some(Schema::default())).description(Some(about)).into()
    }
}

/// A column of a frame.
#[derive(ToSchema)]
#[schema(as = FrameColumn)]
#[expect(dead_code, reason = "it only describes")]
pub struct Column {
    /// Its name.
    name: String,
    /// Its type.
    #[schema(value_type = ColumnType)]
    r#type: (),
}

/// The rows of a feed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
pub struct Snapshot {
    #[schema(pattern = "^snapshot$")]
    r#type: String,
    /// The view's name.
    view: String,
    /// The columns that name a row.
    key: Vec<String>,
    /// The columns.
    columns: Vec<Column>,
    /// Where the client stands with it.
    #[schema(value_type = Cursor)]
    cursor: (),
    /// Whether a `since` was refused, so that changes may have been missed.
    reset: bool,
    /// An array of values for each column.
    #[schema(value_type = Vec<Vec<Cell>>)]
    data: (),
}

/// The answer to a query.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
pub struct QueryAnswer {
    /// The columns.
    columns: Vec<Column>,
    /// An array of values for each column.
    #[schema(value_type = Vec<Vec<Cell>>)]
    data: (),
    /// How many rows they are.
    rows: u64,
    /// Whether there were more.
    truncated: bool,
}

/// What changed in a feed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
pub struct Delta {
    #[schema(pattern = "^delta$")]
    r#type: String,
    /// The view's name.
    view: String,
    /// The columns that name a row.
    key: Vec<String>,
    /// The columns.
    columns: Vec<Column>,
    /// It is right for any cursor from this one on.
    #[schema(value_type = Cursor)]
    from: (),
    /// Where the client stands with it.
    #[schema(value_type = Cursor)]
    cursor: (),
    /// An array of values for each row that is inserted or replaced.
    #[schema(value_type = Vec<Vec<Cell>>)]
    upsert: (),
    /// The key of each row that is gone.
    #[schema(value_type = Vec<Vec<Cell>>)]
    delete: (),
}

/// A value of a row.
pub enum Cell {}

impl ToSchema for Cell {}

impl PartialSchema for Cell {
    fn schema() -> Shape {
        let about = "By the column's type: a number for bigint (beyond 2^53 a text), int and double (not finite: \
                     null); milliseconds since 1970 for timestamp; true or false for boolean; an array of texts for \
                     text[]; any value for json; a text for text, decimal, date and bytes (base64). Or null.";
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(about)).into()
    }
}

/// A dashboard and its panels.
#[derive(ToSchema)]
#[schema(as = DashboardWithPanels)]
#[expect(dead_code, reason = "it only describes")]
pub struct Dashboard {
    /// Its name in paths.
    name: String,
    /// Its title.
    title: String,
    /// How much of the past its charts show at first, in milliseconds.
    range: u64,
    /// Its panels, from left to right and from top to bottom.
    panels: Vec<Panel>,
}

/// A panel of a dashboard.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
pub struct Panel {
    /// Its title.
    title: String,
    /// The feed that it shows.
    feed: String,
    /// How it is drawn.
    r#type: PanelType,
    /// The column along the x axis of lines.
    #[schema(required)]
    x: Option<String>,
    /// The columns along the y axis of lines.
    y: Vec<String>,
    /// The column whose values make the lines.
    #[schema(required)]
    series: Option<String>,
    /// The columns of a table; empty means all.
    columns: Vec<String>,
    /// The columns of a table that are drawn as bars.
    bars: Vec<String>,
    /// Columns with the values, as text, that a row must have to be shown.
    only: BTreeMap<String, Vec<String>>,
    /// How the rows of one x become one number.
    combine: PanelCombine,
    /// A stat shows its change against that many milliseconds ago.
    #[schema(required)]
    compare: Option<u64>,
    /// The least of the y axis, or the lower end of a gauge.
    #[schema(required)]
    min: Option<f64>,
    /// The most of the y axis, or the upper end of a gauge.
    #[schema(required)]
    max: Option<f64>,
    /// From here on a value is a warning.
    #[schema(required)]
    warn: Option<f64>,
    /// From here on a value is bad; if less than `warn`, low values are.
    #[schema(required)]
    bad: Option<f64>,
    /// How often the feed changes at least, in milliseconds.
    #[schema(required)]
    expect: Option<u64>,
    /// The column to sort by, with `-` before it from the greatest down.
    #[schema(required)]
    sort: Option<String>,
    /// How many rows are shown at most.
    #[schema(required)]
    rows: Option<u64>,
    /// The unit of y.
    #[schema(required)]
    unit: Option<String>,
    /// Its width in twelfths of the page.
    #[schema(minimum = 1, maximum = 12)]
    span: u8,
}

/// How a panel is drawn.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it only describes")]
pub enum PanelType {
    /// Lines over x.
    Line,
    /// Lines over x, filled below.
    Area,
    /// Bars over time, or a ranking.
    Bar,
    /// One number, and its past as a small line.
    Stat,
    /// One number between two ends.
    Gauge,
    /// Rows and columns.
    Table,
}

/// How several rows become one number.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it only describes")]
pub enum PanelCombine {
    /// The row that changed last.
    Last,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// How many there are.
    Count,
}

/// Why a request was refused (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes")]
pub struct Problem {
    /// The code in words.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    #[schema(value_type = ErrorCode)]
    code: (),
    /// What is wrong, where, and what to do: for a person.
    detail: String,
    /// With `none_accepted`: 0.
    accepted: Option<u64>,
    /// With `none_accepted`: the first refused events, at most 100.
    rejected: Option<Vec<crate::ingest::Rejected>>,
    /// With `none_accepted`: how many were refused.
    rejected_total: Option<u64>,
    /// Of `/readyz`: all that stands against it.
    reasons: Option<Vec<crate::backend::Reason>>,
}

/// What a program tells errors by.
pub enum ErrorCode {}

impl ToSchema for ErrorCode {
    fn name() -> Cow<'static, str> {
        "Code".into()
    }
}

impl PartialSchema for ErrorCode {
    fn schema() -> Shape {
        let mut about = "What a program tells errors by.\n".to_owned();
        for code in Code::ALL {
            // Writing into a String cannot fail.
            let _ = write!(about, "\n- `{}` ({}): {}", code.as_str(), code.status(), code.summary());
        }
        let codes = Code::ALL.iter().map(|c| c.as_str());
        RefOr::T(Schema::Object(text().enum_values(Some(codes)).description(Some(about)).build()))
    }
}
