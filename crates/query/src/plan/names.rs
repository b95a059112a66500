//! Names that are close to a misspelt one.

/// The candidate nearest to `word`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let far = 1 + word.chars().count() / 3;
    candidates
        .map(|c| (strsim::damerau_levenshtein(&word, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= far)
        // Of equally near ones the first in the alphabet, so that messages are stable.
        .min()
        .map(|(_, c)| c)
}

/// "did you mean `x`?", or a list of what there is.
pub(crate) fn suggest<'a>(word: &str, what: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(word, candidates.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let all: Vec<&str> = candidates.take(20).collect();
            if all.is_empty() { format!("there are no {what}") } else { format!("{what}: {}", all.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["metric", "value", "ts"];
        assert_eq!(nearest("metirc", names.into_iter()), Some("metric"));
        assert_eq!(nearest("VALUES", names.into_iter()), Some("value"));
        assert_eq!(nearest("hostname", names.into_iter()), None);
        assert_eq!(suggest("hostname", "columns", names.into_iter()), "columns: metric, value, ts");
    }
}
