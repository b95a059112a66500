//! What a client takes: `Accept` and `Accept-Encoding` (RFC 9110, 12.5). Both are lists
//! with weights; reading one is less than what a crate for it would bring.

use http::{HeaderMap, HeaderName, header};
use model::Code;

use crate::{
    encode::{body::Representation, compress::Coding},
    http::query,
    problem::Problem,
};

/// The form that the client likes best, of those which can say what is asked. Where it
/// likes several as much, the one that it names first; JSON if it does not care.
pub fn representation(headers: &HeaderMap, deltas: bool) -> Result<Representation, Problem> {
    let usable: Vec<_> = Representation::ALL.into_iter().filter(|r| !deltas || r.has_deltas()).collect();
    liked_best(headers, &usable, if deltas { "a feed with `since`" } else { "a feed" })
}

/// The same for the answer to a query.
pub fn answer(headers: &HeaderMap) -> Result<Representation, Problem> {
    liked_best(headers, &query::FORMS, "an answer")
}

fn liked_best(headers: &HeaderMap, usable: &[Representation], what: &str) -> Result<Representation, Problem> {
    let ranges = weights(headers, &header::ACCEPT);
    if ranges.is_empty() {
        return Ok(Representation::Json);
    }
    let rated = usable.iter().enumerate().filter_map(|(order, r)| {
        let (weight, position, exact) = rate(&ranges, *r)?;
        // Ranges say nothing of an order, so `*/*` is JSON whatever stands before it.
        let position = if exact { position } else { ranges.len() };
        Some(((weight, std::cmp::Reverse((position, order))), *r))
    });
    rated.max_by_key(|(rating, _)| *rating).map(|(_, r)| r).ok_or_else(|| {
        let names: Vec<_> = usable.iter().map(|r| r.names()[0]).collect();
        Problem::new(Code::NotAcceptable, format!("`Accept` takes none of what {what} is had in: {}", names.join(", ")))
    })
}

/// The weight that the client gives it, the place in its list, and whether it is named.
fn rate(ranges: &[(String, u16)], representation: Representation) -> Option<(u16, usize, bool)> {
    let rating_of = |name: &str| {
        let kind = name.split('/').next().unwrap_or_default();
        let find = |wanted: &dyn Fn(&str) -> bool| ranges.iter().position(|(range, _)| wanted(range));
        // The most specific range is the one that counts.
        let exact = find(&|range| range == name);
        let at = exact.or_else(|| find(&|r| r.strip_suffix("/*") == Some(kind))).or_else(|| find(&|r| r == "*/*"))?;
        let weight = ranges[at].1;
        (weight > 0).then_some((weight, at, exact.is_some()))
    };
    let rated = representation.names().iter().filter_map(|name| rating_of(name));
    // A name that is spelled out says more than a wildcard that fits another name.
    rated.max_by_key(|(weight, at, exact)| (*exact, *weight, std::cmp::Reverse(*at)))
}

/// The coding that the client likes best; of those it likes as much, the first of ours.
pub fn coding(headers: &HeaderMap) -> Option<Coding> {
    let weights = weights(headers, &header::ACCEPT_ENCODING);
    let weight = |name: &str| {
        let named = weights.iter().find(|(n, _)| n == name);
        named.or_else(|| weights.iter().find(|(n, _)| n == "*")).map_or(0, |(_, weight)| *weight)
    };
    let identity = weights.iter().find(|(n, _)| n == "identity").map_or(0, |(_, weight)| *weight);
    let rated = Coding::ALL.into_iter().map(|c| (weight(c.name()), c)).filter(|(w, _)| *w > 0 && *w >= identity);
    // The last of the largest is the first of ours.
    rated.rev().max_by_key(|(weight, _)| *weight).map(|(_, coding)| coding)
}

/// The values of a list in small letters, with their weights in thousandths. Parameters
/// other than `q` do not matter here.
fn weights(headers: &HeaderMap, name: &HeaderName) -> Vec<(String, u16)> {
    let values = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok());
    let items = values.flat_map(|v| v.split(',')).filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let value = parts.next().filter(|v| !v.is_empty())?.to_ascii_lowercase();
        let q = parts.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")));
        let weight = q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
        Some((value, (weight.clamp(0.0, 1.0) * 1000.0) as u16))
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_form_is_the_one_that_the_client_likes_best() {
        use Representation::{Arrow, Csv, EventStream, Json, MessagePack, Ndjson};
        for (accept, expected) in [
            ("", Some(Json)),
            ("*/*", Some(Json)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Json)),
            ("text/csv, application/json", Some(Csv)),
            ("text/csv;q=0.5, application/json", Some(Json)),
            ("text/csv, */*", Some(Csv)),
            ("*/*, text/csv;q=0.9", Some(Json)),
            ("text/*", Some(Csv)),
            ("text/event-stream", Some(EventStream)),
            ("Application/X-NDJSON", Some(Ndjson)),
            ("application/jsonl", Some(Ndjson)),
            ("application/x-msgpack;q=0.2", Some(MessagePack)),
            ("application/vnd.apache.arrow.stream", Some(Arrow)),
            ("application/json;q=0, */*", Some(MessagePack)),
            ("application/json; charset=utf-8; q=0.1", Some(Json)),
            ("text/html", None),
            ("application/json;q=0", None),
            ("text/csv;q=x", None),
        ] {
            assert_eq!(representation(&headers(header::ACCEPT, accept), false).ok(), expected, "{accept}");
        }
        assert_eq!(representation(&HeaderMap::new(), true).ok(), Some(Json));
        assert!(representation(&headers(header::ACCEPT, "text/csv"), true).is_err(), "a CSV of what changed");
        assert_eq!(representation(&headers(header::ACCEPT, "text/csv, */*;q=0.1"), true).ok(), Some(Json));
    }

    #[test]
    fn the_coding_is_the_one_that_the_client_likes_best() {
        for (accept, expected) in [
            ("", None),
            ("identity", None),
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, br;q=0.9", Some(Coding::Gzip)),
            ("GZIP;q=0.5", Some(Coding::Gzip)),
            ("br;q=0", None),
            ("*", Some(Coding::Zstd)),
            ("*, zstd;q=0", Some(Coding::Brotli)),
            ("identity, gzip;q=0.5", None),
            ("deflate", None),
        ] {
            assert_eq!(coding(&headers(header::ACCEPT_ENCODING, accept)), expected, "{accept}");
        }
    }
}
