//! Column types and the schemas of streams and feeds.

use std::{collections::HashMap, fmt, str::FromStr, sync::Arc};

use arrow_schema::{DataType as Arrow, Field, SchemaRef, TimeUnit};

/// The type of a column, as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit integer.
    BigInt,
    /// A signed 32-bit integer.
    Int,
    /// An IEEE 754 double.
    Double,
    /// An exact decimal number: `decimal(precision,scale)`.
    Decimal {
        /// Digits in all, 1 to [`MAX_PRECISION`].
        precision: u8,
        /// Digits behind the point, at most `precision`.
        scale: u8,
    },
    /// True or false.
    Boolean,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// A day, as days since 1970-01-01.
    Date,
    /// Bytes; base64 in JSON.
    Bytes,
    /// A list of texts, any of which may be null: `text[]`.
    TextList,
    /// A JSON document, kept as its text.
    Json,
}

/// The most digits of a decimal: what a 128-bit integer always holds.
pub const MAX_PRECISION: u8 = 38;

/// Marks an Arrow text field as JSON.
const JSON_MARK: (&str, &str) = ("tidewire.type", "json");

impl DataType {
    /// Every type, in the order the documentation lists them; of decimals, one.
    pub const ALL: [Self; 11] = [
        Self::Text,
        Self::BigInt,
        Self::Int,
        Self::Double,
        Self::Decimal { precision: 18, scale: 2 },
        Self::Boolean,
        Self::Timestamp,
        Self::Date,
        Self::Bytes,
        Self::TextList,
        Self::Json,
    ];

    /// The name in configuration files and messages; that of a decimal without its digits,
    /// which [`Display`](fmt::Display) has.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::BigInt => "bigint",
            Self::Int => "int",
            Self::Double => "double",
            Self::Decimal { .. } => "decimal",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Bytes => "bytes",
            Self::TextList => "text[]",
            Self::Json => "json",
        }
    }

    /// The Arrow type that holds it.
    pub fn arrow(self) -> Arrow {
        match self {
            Self::Text | Self::Json => Arrow::Utf8,
            Self::BigInt => Arrow::Int64,
            Self::Int => Arrow::Int32,
            Self::Double => Arrow::Float64,
            Self::Decimal { precision, scale } => Arrow::Decimal128(precision, scale as i8),
            Self::Boolean => Arrow::Boolean,
            Self::Timestamp => Arrow::Timestamp(TimeUnit::Millisecond, None),
            Self::Date => Arrow::Date32,
            Self::Bytes => Arrow::Binary,
            Self::TextList => Arrow::new_list(Arrow::Utf8, true),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            other => f.write_str(other.name()),
        }
    }
}

/// Why a text is no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// There is none of this name.
    #[error("there is no type `{0}`")]
    Unknown(String),
    /// `decimal` alone, or with something else than digits in its brackets.
    #[error("a decimal says how many digits it has, and how many of them behind the point: `decimal(18,2)`")]
    Digits,
    /// More digits than there can be.
    #[error("a decimal has 1 to 38 digits in all, and no more behind the point than in all")]
    Precision,
}

impl FromStr for DataType {
    type Err = TypeError;

    /// The inverse of [`Display`](fmt::Display); `decimal(9)` is `decimal(9,0)`, and blanks
    /// may stand around the digits.
    fn from_str(text: &str) -> Result<Self, TypeError> {
        if let Some(rest) = text.strip_prefix("decimal")
            && (rest.is_empty() || rest.starts_with('('))
        {
            return decimal(rest);
        }
        let found = Self::ALL.into_iter().find(|t| t.name() == text);
        found.ok_or_else(|| TypeError::Unknown(text.to_owned()))
    }
}

fn decimal(brackets: &str) -> Result<DataType, TypeError> {
    let inner = brackets.strip_prefix('(').and_then(|b| b.strip_suffix(')')).ok_or(TypeError::Digits)?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let digits = |text: &str| {
        let text = text.trim_matches(' ');
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u8::MAX)).ok_or(TypeError::Digits)
    };
    let (precision, scale) = (digits(precision)?, digits(scale)?);
    if (1..=MAX_PRECISION).contains(&precision) && scale <= precision {
        Ok(DataType::Decimal { precision, scale })
    } else {
        Err(TypeError::Precision)
    }
}

impl serde::Serialize for DataType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for DataType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its name in SQL and in frames.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
}

impl Column {
    /// A nullable column.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type, nullable: true }
    }

    /// The same column, refusing null.
    #[must_use]
    pub fn not_null(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// As an Arrow field; JSON carries a mark in the field's metadata.
    pub fn to_field(&self) -> Field {
        let field = Field::new(&self.name, self.data_type.arrow(), self.nullable);
        if self.data_type == DataType::Json {
            field.with_metadata(HashMap::from([(JSON_MARK.0.to_owned(), JSON_MARK.1.to_owned())]))
        } else {
            field
        }
    }

    /// The inverse of [`Column::to_field`]; `None` for an Arrow type that no column has.
    pub fn from_field(field: &Field) -> Option<Self> {
        let data_type = match field.data_type() {
            Arrow::Utf8 if is_json(field) => DataType::Json,
            Arrow::Utf8 => DataType::Text,
            Arrow::Int64 => DataType::BigInt,
            Arrow::Int32 => DataType::Int,
            Arrow::Float64 => DataType::Double,
            &Arrow::Decimal128(precision, scale) => {
                let scale = u8::try_from(scale).ok().filter(|s| *s <= precision)?;
                DataType::Decimal { precision, scale }
            }
            Arrow::Boolean => DataType::Boolean,
            Arrow::Timestamp(TimeUnit::Millisecond, None) => DataType::Timestamp,
            Arrow::Date32 => DataType::Date,
            Arrow::Binary => DataType::Bytes,
            Arrow::List(item) if item.data_type() == &Arrow::Utf8 => DataType::TextList,
            _ => return None,
        };
        Some(Self { name: field.name().clone(), data_type, nullable: field.is_nullable() })
    }
}

/// Whether an Arrow field carries the JSON mark.
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(JSON_MARK.0).is_some_and(|v| v == JSON_MARK.1)
}

/// The columns of a stream or a feed, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Schema {
    /// The columns; names are unique.
    pub columns: Vec<Column>,
}

impl Schema {
    /// A schema of these columns.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }

    /// The position of the column of this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }

    /// As an Arrow schema.
    pub fn to_arrow(&self) -> SchemaRef {
        Arc::new(arrow_schema::Schema::new(self.columns.iter().map(Column::to_field).collect::<Vec<_>>()))
    }
}

/// How the rows of a feed come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeedKind {
    /// Rows are replaced and deleted by key.
    Upsert,
    /// Every row is new; its key is the column `_seq`, which only grows.
    Append,
}

/// The schema of a feed: its key columns stand first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FeedSchema {
    /// The feed's name.
    pub name: String,
    /// All columns, the key's first.
    pub schema: Schema,
    /// How many of the columns make the key; at least 1.
    pub key_len: usize,
    /// Upsert or append.
    pub kind: FeedKind,
}

impl FeedSchema {
    /// The key columns.
    pub fn key(&self) -> &[Column] {
        &self.schema.columns[..self.key_len]
    }

    /// The Arrow schema of the key columns alone.
    pub fn key_arrow(&self) -> SchemaRef {
        Schema::new(self.key().to_vec()).to_arrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_way_to_arrow_and_back() {
        for data_type in DataType::ALL {
            for column in [Column::new("c", data_type), Column::new("c", data_type).not_null()] {
                assert_eq!(Column::from_field(&column.to_field()), Some(column));
            }
        }
    }
    #[test]
    fn every_type_is_read_as_it_is_written() {
        for data_type in DataType::ALL {
            assert_eq!(data_type.to_string().parse(), Ok(data_type));
        }
        assert_eq!("decimal(9)".parse(), Ok(DataType::Decimal { precision: 9, scale: 0 }));
        assert_eq!("decimal( 38 , 38 )".parse(), Ok(DataType::Decimal { precision: 38, scale: 38 }));
        for (text, error) in [
            ("decimal", TypeError::Digits),
            ("decimal()", TypeError::Digits),
            ("decimal(10", TypeError::Digits),
            ("decimal(+1)", TypeError::Digits),
            ("decimal(1,2,3)", TypeError::Digits),
            ("decimal(0)", TypeError::Precision),
            ("decimal(39)", TypeError::Precision),
            ("decimal(999999999)", TypeError::Precision),
            ("decimal(2,3)", TypeError::Precision),
            ("decimals", TypeError::Unknown("decimals".to_owned())),
            ("Text", TypeError::Unknown("Text".to_owned())),
        ] {
            assert_eq!(text.parse::<DataType>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_decimal_with_a_negative_scale_is_no_column() {
        assert_eq!(Column::from_field(&Field::new("c", Arrow::Decimal128(5, -2), true)), None);
    }
}
