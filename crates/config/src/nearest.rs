//! Which name was meant.

/// The name nearest to a word, if one is near enough to have been meant by it.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let far = lower.chars().count().max(3) / 3;
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Advice on a word that is none of these names: the nearest, or all of them if they are few.
/// `what` says what they are, in the plural.
pub fn advice(word: &str, what: &str, names: &[&str]) -> Option<String> {
    /// More names than this help nobody.
    const FEW: usize = 20;
    if let Some(name) = nearest(word, names.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    match names.len() {
        0 => Some(format!("there are no {what}")),
        1..=FEW => Some(format!("the {what} are {}", list(names))),
        _ => None,
    }
}

/// `a`, `b`, `c`
pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found() {
        let names = ["retention", "retention_bytes", "schema", "source"];
        for (word, expected) in [
            ("retenton", Some("retention")),
            ("Schema", Some("schema")),
            ("sorce", Some("source")),
            ("retention_byte", Some("retention_bytes")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }

    #[test]
    fn advice_names_what_there_is() {
        assert_eq!(advice("lod", "feeds", &["load"]).as_deref(), Some("did you mean `load`?"));
        assert_eq!(advice("banana", "feeds", &["load", "disk"]).as_deref(), Some("the feeds are `load`, `disk`"));
        assert_eq!(advice("banana", "feeds", &[]).as_deref(), Some("there are no feeds"));
    }
}
