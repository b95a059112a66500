//! Types whose values stand in a feed as texts: decimals, bytes and lists. Two values are
//! equal if and only if their texts are.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, Decimal128Array, ListArray, StringArray,
    builder::{BinaryBuilder, ListBuilder, StringBuilder},
    cast::AsArray,
};
use model::DataType;

/// Marks an item of a list that is null, and one that is a text.
const NULL: char = '-';
const TEXT: char = '+';

/// Whether values of a type stand as texts.
pub(crate) fn stands_as_text(data_type: DataType) -> bool {
    match data_type {
        DataType::Text | DataType::Json | DataType::Decimal { .. } | DataType::Bytes | DataType::TextList => true,
        DataType::BigInt
        | DataType::Int
        | DataType::Double
        | DataType::Boolean
        | DataType::Timestamp
        | DataType::Date => false,
    }
}

/// The texts of a column of another type; `None` if the array is not of that type.
pub(crate) fn to_texts(data_type: DataType, array: &ArrayRef) -> Option<StringArray> {
    let texts = match data_type {
        DataType::Decimal { precision, scale } => {
            let decimals = array.as_any().downcast_ref::<Decimal128Array>()?;
            if (decimals.precision(), decimals.scale()) != (precision, scale as i8) {
                return None;
            }
            decimals.iter().map(|value| value.map(|v| v.to_string())).collect()
        }
        DataType::Bytes => {
            let bytes = array.as_any().downcast_ref::<BinaryArray>()?;
            bytes.iter().map(|value| value.map(hexadecimal)).collect()
        }
        DataType::TextList => {
            let lists = array.as_any().downcast_ref::<ListArray>()?;
            lists.values().as_string_opt::<i32>()?;
            (0..lists.len()).map(|row| lists.is_valid(row).then(|| list_text(&lists.value(row)))).collect()
        }
        _ => return None,
    };
    Some(texts)
}

/// The inverse of [`to_texts`]. What is no text of the type, which only a damaged block can
/// bring, becomes null.
pub(crate) fn from_texts(data_type: DataType, texts: &StringArray) -> ArrayRef {
    match data_type {
        DataType::Decimal { precision, scale } => {
            let values = texts.iter().map(|text| text?.parse::<i128>().ok()).collect::<Decimal128Array>();
            // The type was a column's before: it is one that Arrow takes.
            Arc::new(values.with_precision_and_scale(precision, scale as i8).expect("a decimal column's own type"))
        }
        DataType::Bytes => {
            let mut builder = BinaryBuilder::new();
            texts.iter().for_each(|text| builder.append_option(text.and_then(from_hexadecimal)));
            Arc::new(builder.finish())
        }
        DataType::TextList => {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for text in texts {
                for item in text.into_iter().flat_map(items) {
                    builder.values().append_option(item);
                }
                builder.append(text.is_some());
            }
            Arc::new(builder.finish())
        }
        _ => Arc::new(texts.clone()),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    text.as_bytes().chunks(2).map(|pair| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

/// Each item with its mark and its length before it, so that none can be taken for two.
fn list_text(items: &ArrayRef) -> String {
    let items = items.as_string::<i32>();
    items.iter().fold(String::new(), |mut text, item| {
        match item {
            None => text.push(NULL),
            Some(item) => {
                text.push(TEXT);
                text.push_str(&item.len().to_string());
                text.push(':');
                text.push_str(item);
            }
        }
        text
    })
}

fn items(mut text: &str) -> impl Iterator<Item = Option<&str>> {
    std::iter::from_fn(move || {
        if let Some(rest) = text.strip_prefix(NULL) {
            text = rest;
            return Some(None);
        }
        let (length, rest) = text.strip_prefix(TEXT)?.split_once(':')?;
        let (item, rest) = rest.split_at_checked(length.parse().ok()?)?;
        text = rest;
        Some(Some(item))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(data_type: DataType, array: ArrayRef) {
        let texts = to_texts(data_type, &array).expect("it is of the type");
        assert_eq!(&from_texts(data_type, &texts), &array, "{texts:?}");
    }

    #[test]
    fn values_come_back_from_their_texts() {
        let decimals = Decimal128Array::from(vec![Some(0), None, Some(-12_345), Some(i128::MAX / 10)]);
        let decimals = decimals.with_precision_and_scale(38, 4).unwrap();
        comes_back(DataType::Decimal { precision: 38, scale: 4 }, Arc::new(decimals));
        comes_back(DataType::Bytes, Arc::new(BinaryArray::from(vec![Some(&[0, 255, 16][..]), None, Some(b"")])));
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("a"), None, Some(""), Some("+3:-é")]);
        lists.append_null();
        lists.append_value(Vec::<Option<&str>>::new());
        comes_back(DataType::TextList, Arc::new(lists.finish()));
        assert!(to_texts(DataType::Bytes, &(Arc::new(StringArray::from(vec!["a"])) as ArrayRef)).is_none());
    }
}
