//! `${VAR}` and `${VAR:-default}` in values.

/// What is wrong with a value's variables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The variable is not set and the value gives no default.
    Unset(String),
    /// `${` without its `}`.
    Open,
    /// What stands between the braces is no variable's name.
    Name(String),
}

/// Puts variables in; `$$` is a dollar sign, and so is one that no brace follows.
/// As in a shell, `:-` also stands in for a variable that is set to nothing.
/// Every variable that is missing is reported.
pub(crate) fn fill(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Vec<Wrong>> {
    let mut filled = String::with_capacity(text.len());
    let mut wrong = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        filled.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.push('$');
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let Some(end) = inside.find('}') else {
                wrong.push(Wrong::Open);
                break;
            };
            match variable(&inside[..end], env) {
                Ok(value) => filled.push_str(&value),
                Err(problem) => wrong.push(problem),
            }
            rest = &inside[end + 1..];
        } else {
            filled.push('$');
        }
    }
    filled.push_str(rest);
    if wrong.is_empty() { Ok(filled) } else { Err(wrong) }
}

fn variable(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Wrong> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !named {
        return Err(Wrong::Name(name.to_owned()));
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Wrong::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, Vec<Wrong>> {
        fill(text, &|name| match name {
            "HOST" => Some("example".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn filled() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${HOST}:80", "example:80"),
            ("a${HOST}b${HOST}c", "aexamplebexamplec"),
            ("${PORT:-8080}", "8080"),
            ("${EMPTY:-8080}", "8080"),
            ("${EMPTY}", ""),
            ("${PORT:-}", ""),
            ("$${HOST}", "${HOST}"),
            ("5$ and $HOST", "5$ and $HOST"),
            ("$", "$"),
        ] {
            assert_eq!(with(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_missing_one_is_named() {
        assert_eq!(with("${A} ${B}"), Err(vec![Wrong::Unset("A".into()), Wrong::Unset("B".into())]));
        assert_eq!(with("${HOST"), Err(vec![Wrong::Open]));
        assert_eq!(with("${}"), Err(vec![Wrong::Name(String::new())]));
        assert_eq!(with("${1X}"), Err(vec![Wrong::Name("1X".into())]));
    }
}
