//! Text to statements, and why a text is none: the place where the parser stopped, and what
//! its neighbours say was meant.

use datafusion::sql::sqlparser::{
    ast::Statement,
    dialect::PostgreSqlDialect,
    keywords::Keyword,
    parser::{Parser, ParserError},
    tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer},
};

use super::{
    names::nearest,
    sql::{MAX_NESTING, MAX_TOKENS, Problem, too_deep},
};

/// The keywords that begin the clauses of a query.
const CLAUSES: [&str; 5] = ["SELECT", "FROM", "WHERE", "GROUP", "HAVING"];

const FORM: &str = "a query is SELECT … FROM … WHERE … GROUP BY … HAVING …, in this order";

pub(crate) fn read_statements(sql: &str) -> Result<Vec<Statement>, Problem> {
    let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| parse_problem(&ParserError::from(error).to_string(), &[]))?;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    if tokens.len() > MAX_TOKENS {
        return Err(too_deep());
    }
    Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(MAX_NESTING)
        .with_tokens_with_locations(tokens.clone())
        .parse_statements()
        .map_err(|error| parse_problem(&error.to_string(), &tokens))
}

/// "… at Line: 1, Column: 8" as a place, and what was meant there.
pub(crate) fn parse_problem(text: &str, tokens: &[TokenWithSpan]) -> Problem {
    let text = text.trim_start_matches("sql parser error: ");
    if text.contains("recursion limit") {
        return too_deep();
    }
    let placed = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        let place = Location { line: line.parse().ok()?, column: column.parse().ok()? };
        Some((message, stopped_at(message, place, tokens)))
    });
    let Some((message, start)) = placed else {
        // It stopped at the end.
        return Problem::new(format!("the SQL does not parse: {text}")).hint(FORM);
    };
    let problem = match message.strip_prefix("Expected: an SQL statement, found: ") {
        Some(found) => Problem::new(format!("the SQL does not parse: expected SELECT, found {found}")),
        None => Problem::new(format!("the SQL does not parse: {message}")),
    };
    problem.hint(hint(message, tokens, start)).at(Span { start, end: start })
}

/// The parser sometimes names a word and the place of the next one.
fn stopped_at(message: &str, place: Location, tokens: &[TokenWithSpan]) -> Location {
    let Some((_, found)) = message.rsplit_once("found: ") else { return place };
    let index = tokens.partition_point(|token| token.span.start < place);
    let is_found = |token: &&TokenWithSpan| token.token.to_string() == found;
    let before = index.checked_sub(1).and_then(|at| tokens.get(at)).filter(is_found);
    match (before, tokens.get(index).filter(is_found)) {
        (Some(before), None) => before.span.start,
        _ => place,
    }
}

fn hint(message: &str, tokens: &[TokenWithSpan], place: Location) -> String {
    if message.contains("Unterminated") {
        return "close the quote; within a text it is written twice: ''. In YAML ` #` begins a comment, but not below `|`"
            .to_owned();
    }
    let index = tokens.partition_point(|token| token.span.start < place);
    let here = tokens.get(index).map(|token| &token.token);
    let before = index.checked_sub(1).map(|at| &tokens[at].token);
    if let Some((word, keyword)) = misspelt_keyword(&tokens[..tokens.len().min(index + 1)], here) {
        return format!("did you mean `{keyword}` instead of `{word}`?");
    }
    let has =
        |name: &str| tokens.iter().any(|t| matches!(&t.token, Token::Word(w) if w.value.eq_ignore_ascii_case(name)));
    if has("DESCRIPTOR") || has("TUMBLING") || has("HOPPING") {
        return "windows are written FROM TUMBLE(stream, time_column, INTERVAL '10 seconds')".to_owned();
    }
    match (before, here) {
        (_, Some(Token::Char('`'))) => "a name stands alone, or between double quotes: \"name\"".to_owned(),
        (Some(Token::Number(number, _)), Some(Token::Word(unit))) => {
            format!("a duration is written INTERVAL '{number} {}'", unit.value)
        }
        (Some(Token::Comma), Some(Token::Word(word))) if CLAUSES.contains(&word.value.to_uppercase().as_str()) => {
            format!("take out the comma before {}", word.value)
        }
        (Some(Token::Word(_)), Some(Token::Word(word))) if word.keyword == Keyword::NoKeyword => {
            format!("is there a comma missing before `{}`, or before the word in front of it?", word.value)
        }
        (_, Some(Token::ExclamationMark)) => "write NOT".to_owned(),
        (_, Some(Token::Colon | Token::Placeholder(_))) => {
            "a choice is written CASE WHEN condition THEN x ELSE y END".to_owned()
        }
        (Some(Token::Eq), Some(Token::Eq)) => "equal is written with one `=`".to_owned(),
        (_, Some(Token::LBracket)) => {
            "a field of json is read by column ->> 'field'; names need no brackets".to_owned()
        }
        _ => FORM.to_owned(),
    }
}

/// A misspelt keyword passes for a name or an alias, so the parser stops at it or at what
/// follows it.
fn misspelt_keyword<'a>(tokens: &'a [TokenWithSpan], here: Option<&Token>) -> Option<(&'a str, &'static str)> {
    let text = matches!(here, Some(Token::SingleQuotedString(_)));
    tokens.iter().rev().take(2).find_map(|token| match &token.token {
        Token::Word(word) if word.quote_style.is_none() && word.keyword == Keyword::NoKeyword => {
            let clauses = CLAUSES.into_iter().chain(text.then_some("INTERVAL"));
            nearest(&word.value, clauses).map(|keyword| (word.value.as_str(), keyword))
        }
        _ => None,
    })
}
