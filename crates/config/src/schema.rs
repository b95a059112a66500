//! The table of keys as a JSON Schema.
//!
//! The schema accepts every file that loads. It knows nothing of what several values must
//! be to each other (that a panel's feed exists), which `tidewire check` tells.

use serde_json::{Map, Value, json};

use crate::{
    keys::{self, ROOT, SECTIONS},
    shape::{Absent, Key, Section, Shape},
    units,
};

/// The largest whole number that every JSON tool keeps exactly.
const EXACT: u64 = 1 << 53;

/// A decimal of 1 to 38 digits, as a regular expression.
const DECIMAL: &str = r"^decimal\( *0*([1-9]|[12][0-9]|3[0-8]) *(, *0*([0-9]|[12][0-9]|3[0-8]) *)?\)$";

/// A JSON Schema (draft 2020-12) of a configuration file, for editors.
pub fn json_schema() -> Value {
    let mut defs: Map<String, Value> = SECTIONS
        .iter()
        .filter(|section| section.name != ROOT.name)
        .map(|section| (section.name.to_owned(), object(section)))
        .collect();
    // A value that is taken from the environment may become anything.
    defs.insert(
        "variable".to_owned(),
        json!({ "type": "string", "pattern": "\\$\\{", "description": "A value from the environment." }),
    );
    let Value::Object(mut root) = object(&ROOT) else { return Value::Null };
    root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    root.insert("title".to_owned(), json!("Tidewire configuration"));
    root.insert("$defs".to_owned(), Value::Object(defs));
    Value::Object(root)
}

fn object(section: &Section) -> Value {
    let properties: Map<String, Value> = section.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> =
        section.keys.iter().filter(|key| key.absent == Absent::Refused).map(|key| key.name).collect();
    let mut object = json!({
        "description": section.about,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    // A section whose keys may all be left out may itself be left empty.
    if required.is_empty() {
        object["type"] = json!(["object", "null"]);
    }
    object
}

fn property(key: &Key) -> Value {
    let mut property = shape(&key.shape);
    property["description"] = json!(key.about);
    if let Absent::Means(text) = key.absent {
        property["default"] = match &key.shape {
            Shape::Flag => json!(text == "true"),
            Shape::Count { .. } => text.parse::<u64>().map_or(json!(text), |n| json!(n)),
            Shape::Number => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            _ => json!(text),
        };
    }
    property
}

fn shape(of: &Shape) -> Value {
    match of {
        // A text that looks like a number or a flag needs no quotes.
        Shape::Text | Shape::Sql => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Flag => or_variable(&[json!({ "type": "boolean" })]),
        Shape::Identifier => or_variable(&[json!({
            "type": "string",
            "pattern": crate::shape::Naming::Identifier.pattern(),
        })]),
        Shape::Count { low, high } => {
            let mut count = json!({ "type": "integer", "minimum": low });
            if *high <= EXACT {
                count["maximum"] = json!(high);
            }
            or_variable(&[count])
        }
        Shape::Integer => or_variable(&[json!({ "type": "integer" })]),
        Shape::Number => or_variable(&[json!({ "type": "number" })]),
        Shape::Duration { .. } => or_variable(&[json!({ "type": "string", "pattern": units::DURATION })]),
        Shape::DurationOrOff { .. } => {
            or_variable(&[json!({ "type": "string", "pattern": units::DURATION }), json!({ "enum": ["off", false] })])
        }
        Shape::Size { low, high } => or_variable(&[
            json!({ "type": "integer", "minimum": low, "maximum": high }),
            json!({ "type": "string", "pattern": units::SIZE }),
        ]),
        Shape::Word(words) => or_variable(&[json!({ "enum": words })]),
        Shape::Type => {
            let plain: Vec<&str> = keys::TYPES.into_iter().filter(|name| *name != keys::DECIMAL).collect();
            or_variable(&[json!({ "enum": plain }), json!({ "type": "string", "pattern": DECIMAL })])
        }
        Shape::List { of, low, high } => {
            json!({ "type": "array", "items": shape(of), "minItems": low, "maxItems": high })
        }
        Shape::OneOrList { of, high } => json!({
            "anyOf": [shape(of), { "type": "array", "items": shape(of), "minItems": 1, "maxItems": high }],
        }),
        Shape::Named { name, of } => json!({
            "type": ["object", "null"],
            "propertyNames": { "pattern": name.pattern() },
            "additionalProperties": shape(of),
        }),
        Shape::Weights { of } => json!({ "type": "object", "minProperties": 1, "additionalProperties": shape(of) }),
        Shape::Section(section) => json!({ "$ref": format!("#/$defs/{}", section.name) }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(shape).collect::<Vec<_>>() }),
    }
}

fn or_variable(schemas: &[Value]) -> Value {
    let mut any = schemas.to_vec();
    any.push(json!({ "$ref": "#/$defs/variable" }));
    json!({ "anyOf": any })
}
