//! What DataFusion says of a query, in the words of its author: types as schemas call them,
//! no names of its own parts, and what to write instead.

use datafusion::{
    error::DataFusionError,
    sql::sqlparser::tokenizer::{Location, Span},
};

use super::{parse::parse_problem, sql::Problem};
use crate::define::{Part, QueryError};

/// How a function is called, as its documentation writes it.
pub(crate) type Syntax<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(crate) fn from_datafusion(error: &DataFusionError, part: Part) -> QueryError {
    told(error, &|_| None).error(part)
}

/// The error with its place, where DataFusion knows one.
pub(crate) fn told(error: &DataFusionError, syntax: Syntax<'_>) -> Problem {
    if let DataFusionError::SQL(error, _) = error.find_root() {
        return parse_problem(&error.to_string(), &[]);
    }
    let message = message(error);
    let problem = ungrouped(&message)
        .or_else(|| signature(&message, syntax))
        .or_else(|| operands(&message))
        .or_else(|| constant(&message))
        .or_else(|| names(&message))
        .unwrap_or_else(|| Problem::new(message));
    match span(error) {
        Some(span) => problem.at(span),
        None => problem,
    }
}

/// One line, without the names of DataFusion's parts before it.
pub(crate) fn message(error: &DataFusionError) -> String {
    const PREFIXES: [&str; 9] = [
        "Error during planning: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "SQL error: ",
        "Execution error: ",
        "Arrow error: ",
        "Cast error: ",
        "Parser error: ",
        "Compute error: ",
    ];
    let text = error.find_root().strip_backtrace();
    let mut line = text.lines().next().unwrap_or_default();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| line.strip_prefix(prefix)) {
        line = rest;
    }
    line.to_owned()
}

fn span(error: &DataFusionError) -> Option<Span> {
    let span = error.diagnostic()?.span?;
    let at = |l: datafusion::common::Location| Location { line: l.line, column: l.column };
    Some(Span { start: at(span.start), end: at(span.end) })
}

/// The text between two others.
fn between<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// The text before the parenthesis that closes none of its own.
fn balanced(text: &str) -> &str {
    let mut depth = 0;
    let end = text.find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// A type of Arrow as schemas call it.
pub(crate) fn type_name(arrow: &str) -> String {
    let (name, rest) = arrow.trim().split_once('(').unwrap_or((arrow.trim(), ""));
    match name {
        "Utf8" | "Utf8View" | "LargeUtf8" | "String" => "text".to_owned(),
        "Int64" | "UInt64" => "bigint".to_owned(),
        "Int8" | "Int16" | "Int32" | "UInt8" | "UInt16" | "UInt32" => "int".to_owned(),
        "Float16" | "Float32" | "Float64" => "double".to_owned(),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => format!("decimal({}", rest.replace(' ', "")),
        "Boolean" => "boolean".to_owned(),
        "Timestamp" => "timestamp".to_owned(),
        "Date32" | "Date64" => "date".to_owned(),
        "Binary" | "BinaryView" | "LargeBinary" => "bytes".to_owned(),
        "List" | "LargeList" => "a list".to_owned(),
        "Interval" | "Duration" => "interval".to_owned(),
        "Null" => "null".to_owned(),
        _ => arrow.trim().to_lowercase(),
    }
}

/// Types in a list; a comma in parentheses belongs to its type.
fn type_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let parts = list.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.filter(|part| !part.trim().is_empty()).map(type_name).collect()
}

/// A column that is neither grouped nor aggregated.
fn ungrouped(message: &str) -> Option<Problem> {
    let (_, column) = message.split_once("olumn \"").filter(|_| message.contains("GROUP BY"))?;
    let name = column.split('"').next()?.rsplit('.').next()?;
    Some(
        Problem::new(format!("`{name}` is neither in GROUP BY nor inside an aggregate"))
            .hint(format!("add it to GROUP BY, or say which of a group's values is meant, as in max({name})")),
    )
}

/// A function that takes other values, or another number of them.
fn signature(message: &str, syntax: Syntax<'_>) -> Option<Problem> {
    let (name, types) = match between(message, "given name and argument types '", "'.") {
        Some(call) => {
            let (name, types) = call.split_once('(')?;
            (name, type_names(types.strip_suffix(')').unwrap_or(types)))
        }
        // Every signature that was tried is told with what it wants; the first type that it got is enough.
        None => {
            let name = between(message, "unction '", "' failed to match any signature")?;
            let found = message.split_once("(DataType: ").map(|(_, rest)| balanced(rest));
            (name, found.map(type_name).into_iter().collect())
        }
    };
    // A function of ours says itself what it takes.
    if let Some((_, own)) = message.split_once(&format!(": {name} takes ")) {
        let own = own.split(". ").next().unwrap_or(own).trim_end_matches('.');
        let (what, example) = own.split_once(", as in ").unwrap_or((own, ""));
        return Some(Problem::new(format!("{name}() takes {what}")).hint(format!("write {example}")));
    }
    let received = message.split_once(" arguments but received ").map(|(before, after)| {
        let wanted = before.rsplit(' ').next().unwrap_or_default();
        (wanted, after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default())
    });
    let what = match types.as_slice() {
        [] if let Some((wanted, received)) = received => {
            let values = if wanted == "1" { "value" } else { "values" };
            format!("{name}() takes {wanted} {values}, found {received}")
        }
        [] => format!("{name}() takes a value, found none"),
        [of] => format!("{name}() does not take values of type {of}"),
        _ => format!("{name}() does not take ({})", types.join(", ")),
    };
    let hint = match (types.as_slice(), syntax(name)) {
        _ if received.is_none() && types.len() == 1 && takes_text_alone(message) => {
            format!("write {name}(cast(… AS text))")
        }
        ([of], _) if of == "text" => {
            format!("declare the column as a number in the stream's schema, or write {name}(cast(… AS double))")
        }
        _ if name == "coalesce" || name == "nullif" => "give it values of one type: cast(… AS type)".to_owned(),
        (_, Some(syntax)) => format!("write {syntax}"),
        _ => format!("write {name}(cast(… AS type)) with the type that it takes"),
    };
    Some(Problem::new(what).hint(hint))
}

/// Whether what a function wants is text and nothing else: then a cast helps.
fn takes_text_alone(message: &str) -> bool {
    let mut wanted = message.split(" requires ").skip(1).map(|rest| rest.split(',').next().unwrap_or_default());
    !message.contains("failed to match any signature") && wanted.any(|wanted| wanted == "String")
}

/// Values that do not go together.
fn operands(message: &str) -> Option<Problem> {
    let both = |text: &str| {
        let mut words = text.split(' ');
        // A type such as `Decimal128(18, 2)` has a space in it.
        let operator = words.position(|word| !word.ends_with(',') && word.chars().all(|c| !c.is_alphanumeric()));
        let words: Vec<&str> = text.split(' ').collect();
        let at = operator?;
        Some((type_name(&words[..at].join(" ")), words[at].to_owned(), type_name(&words[at + 1..].join(" "))))
    };
    if let Some((left, operator, right)) =
        between(message, "Cannot coerce arithmetic expression ", " to valid types").and_then(both)
    {
        let types = [left.as_str(), right.as_str()];
        let hint = if types == ["text", "text"] && operator == "+" {
            "texts are joined by ||"
        } else if types.contains(&"timestamp") || types.contains(&"date") {
            "a time takes an interval: ts - INTERVAL '5 seconds'"
        } else {
            "make both numbers: cast(… AS double)"
        };
        return Some(Problem::new(format!("{left} {operator} {right} cannot be computed")).hint(hint));
    }
    if message.starts_with("Unsupported binary operator") || message.starts_with("Unsupported SQL unary operator") {
        return Some(
            Problem::new("an operator that is none here")
                .hint("write AND, OR, NOT, =, <>, LIKE; a regular expression is matched by text ~ 'expression'"),
        );
    }
    let comparison = message.split_once("for comparison operation ").and_then(|(_, rest)| both(rest));
    if let Some((left, operator, right)) = comparison {
        let types = [left.as_str(), right.as_str()];
        let hint = if types.contains(&"timestamp") {
            "write the time as text, '2026-01-31T12:00:00Z', or to_timestamp_millis(…) of a number"
        } else if types.contains(&"boolean") {
            "write true or false, without quotes"
        } else {
            "make both one type: cast(… AS type)"
        };
        return Some(Problem::new(format!("{left} {operator} {right} cannot be compared")).hint(hint));
    }
    if let Some(types) = between(message, "common type to coerce ", " in LIKE expression") {
        let other = types.split(" and ").map(type_name).find(|name| name != "text")?;
        return Some(
            Problem::new(format!("LIKE compares texts, found {other}")).hint("write cast(… AS text) LIKE '…'"),
        );
    }
    if let Some(condition) = between(message, "non-boolean predicate '", "'") {
        let found = message.rsplit("returning ").next().map(type_name)?;
        let name = condition.rsplit('.').next().unwrap_or(condition);
        return Some(
            Problem::new(format!("WHERE and HAVING take a condition, found `{name}`, which is {found}"))
                .hint(format!("write a comparison, such as {name} > 0 or {name} IS NOT NULL")),
        );
    }
    if let Some((from, to)) = message.strip_prefix("Unsupported CAST from ").and_then(|types| types.split_once(" to "))
    {
        let (from, to) = (type_name(from), type_name(to));
        return Some(
            Problem::new(format!("{from} cannot be cast to {to}")).hint("cast to text, or take a column of that type"),
        );
    }
    None
}

/// A constant that is not what stands beside it.
fn constant(message: &str) -> Option<Problem> {
    if let Some(rest) = message.strip_prefix("Cannot cast string '")
        && let Some((text, rest)) = rest.rsplit_once("' to value of ")
    {
        let wanted = type_name(rest.trim_end_matches(" type"));
        return Some(Problem::new(format!("'{text}' is no {wanted}")).hint(format!(
            "write a constant of type {wanted} here; or make the other side text, too: cast(… AS text)"
        )));
    }
    let text = between(message, "Error parsing timestamp from '", "'")?;
    Some(Problem::new(format!("'{text}' is no time")).hint("write it as '2026-01-31T12:00:00Z'"))
}

/// The column that is none.
pub(crate) fn no_column(error: &DataFusionError) -> Option<String> {
    let message = message(error);
    let name = message.strip_prefix("No field named ")?.split(". ").next()?.trim_end_matches('.');
    Some(name.rsplit('.').next()?.replace('"', ""))
}

/// Names that are there twice, and aggregates that stand within each other.
fn names(message: &str) -> Option<Problem> {
    if message.contains("require unique expression names") {
        let expression = between(message, "expression \"", "\"")?;
        let name = expression.rsplit('.').next()?;
        return Some(
            Problem::new(format!("two columns are called `{name}`"))
                .hint("give one another name with AS; `*` stands for every column"),
        );
    }
    if message.contains("calls cannot be nested") {
        return Some(
            Problem::new("an aggregate cannot stand within another")
                .hint("leave one of the two: a group's rows are aggregated once"),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_called_as_in_schemas() {
        for (arrow, name) in [
            ("Utf8", "text"),
            ("Timestamp(ms)", "timestamp"),
            ("Timestamp(ns, \"UTC\")", "timestamp"),
            ("Decimal128(18, 2)", "decimal(18,2)"),
            ("Struct(a: Int64)", "struct(a: int64)"),
        ] {
            assert_eq!(type_name(arrow), name);
        }
        assert_eq!(type_names("Decimal128(18, 2), Utf8"), ["decimal(18,2)", "text"]);
        assert!(type_names("").is_empty());
    }

    #[test]
    fn operands_with_spaces_in_their_types_are_told_apart() {
        let told = operands("Cannot coerce arithmetic expression Decimal128(18, 2) * Utf8 to valid types").unwrap();
        let told = told.error(Part::Sql);
        assert_eq!(told.message, "decimal(18,2) * text cannot be computed");
    }
}
