//! Column types and the schemas of streams and feeds.

use std::{collections::HashMap, fmt, sync::Arc};

use arrow_schema::{DataType as Arrow, Field, SchemaRef, TimeUnit};

/// The type of a column, as users write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    /// UTF-8 text.
    Text,
    /// A signed 64-bit integer.
    BigInt,
    /// A signed 32-bit integer.
    Int,
    /// An IEEE 754 double.
    Double,
    /// True or false.
    Boolean,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// A JSON document, kept as its text.
    Json,
}

/// Marks an Arrow text field as JSON.
const JSON_MARK: (&str, &str) = ("tidewire.type", "json");

impl DataType {
    /// Every type, in the order the documentation lists them.
    pub const ALL: [Self; 7] =
        [Self::Text, Self::BigInt, Self::Int, Self::Double, Self::Boolean, Self::Timestamp, Self::Json];

    /// The name in configuration files and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::BigInt => "bigint",
            Self::Int => "int",
            Self::Double => "double",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Json => "json",
        }
    }

    /// The Arrow type that holds it.
    pub const fn arrow(self) -> Arrow {
        match self {
            Self::Text | Self::Json => Arrow::Utf8,
            Self::BigInt => Arrow::Int64,
            Self::Int => Arrow::Int32,
            Self::Double => Arrow::Float64,
            Self::Boolean => Arrow::Boolean,
            Self::Timestamp => Arrow::Timestamp(TimeUnit::Millisecond, None),
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
            Arrow::Boolean => DataType::Boolean,
            Arrow::Timestamp(TimeUnit::Millisecond, None) => DataType::Timestamp,
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
}
