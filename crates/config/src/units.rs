//! Durations and sizes as people write them.

use std::time::Duration;

/// Milliseconds of a unit of time.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Bytes of a unit of size; the binary ones, so that a figure means one thing.
const SIZES: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// The pattern of a duration in JSON Schema.
pub(crate) const DURATION: &str = "^[0-9]{1,15} ?(ms|s|m|h|d)$";
/// The pattern of a size with a unit in JSON Schema.
pub(crate) const SIZE: &str = "^[0-9]{1,15} ?(B|KiB|MiB|GiB|TiB)$";

/// Why a text is no duration or size; each has advice of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A number without a unit.
    NoUnit,
    /// A number with a unit that does not exist.
    Unit(String),
    /// No whole number at the start.
    NoNumber,
    /// More than can be counted.
    TooLarge,
}

/// `250ms`, `10s`, `15m`, `24h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Err(Wrong::NoUnit);
    }
    times(number, unit, &TIMES).map(Duration::from_millis)
}

/// `64KiB`, `10GiB`, or plain bytes.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Ok(number);
    }
    times(number, unit, &SIZES)
}

fn split(text: &str) -> Result<(u64, &str), Wrong> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() || unit.starts_with(['.', ',', 'e', 'E']) {
        return Err(Wrong::NoNumber);
    }
    let number = if digits.len() > 15 { None } else { digits.parse().ok() };
    Ok((number.ok_or(Wrong::TooLarge)?, unit.strip_prefix(' ').unwrap_or(unit)))
}

fn times(number: u64, unit: &str, units: &[(&str, u64)]) -> Result<u64, Wrong> {
    let factor = units.iter().find(|(name, _)| *name == unit).ok_or_else(|| Wrong::Unit(unit.to_owned()))?.1;
    number.checked_mul(factor).ok_or(Wrong::TooLarge)
}

/// The unit that was meant by one that does not exist: `KB`, `sec`, `MIB`.
pub(crate) fn meant(unit: &str, of_time: bool) -> Option<&'static str> {
    let lower = unit.to_ascii_lowercase();
    if of_time {
        return Some(match lower.as_str() {
            "msec" | "millis" | "millisecond" | "milliseconds" | "ms" => "ms",
            "sec" | "secs" | "second" | "seconds" | "s" => "s",
            "min" | "mins" | "minute" | "minutes" | "m" => "m",
            "hr" | "hrs" | "hour" | "hours" | "h" => "h",
            "day" | "days" | "d" => "d",
            _ => return None,
        });
    }
    Some(match lower.as_str() {
        "b" | "byte" | "bytes" => "B",
        "k" | "kb" | "ki" | "kib" => "KiB",
        "m" | "mb" | "mi" | "mib" => "MiB",
        "g" | "gb" | "gi" | "gib" => "GiB",
        "t" | "tb" | "ti" | "tib" => "TiB",
        _ => return None,
    })
}

/// A duration as it would be written: in the largest unit that divides it.
pub(crate) fn write_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let unit = |(_, factor): &&(&str, u64)| millis > 0 && millis.is_multiple_of(u128::from(*factor));
    match TIMES.iter().rev().find(unit) {
        Some((name, factor)) => format!("{}{name}", millis / u128::from(*factor)),
        None => "0s".to_owned(),
    }
}

/// A size as it would be written: in the largest unit that divides it.
pub(crate) fn write_size(bytes: u64) -> String {
    let unit = |(_, factor): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*factor);
    match SIZES.iter().rev().find(unit) {
        Some((name, factor)) => format!("{}{name}", bytes / factor),
        None => "0B".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("15m", 900_000), ("24 h", 86_400_000), ("7d", 604_800_000), ("0s", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(duration("10"), Err(Wrong::NoUnit));
        assert_eq!(duration("10 sec"), Err(Wrong::Unit("sec".into())));
        assert_eq!(duration("1.5h"), Err(Wrong::NoNumber));
        assert_eq!(duration("-1s"), Err(Wrong::NoNumber));
        assert_eq!(duration("s"), Err(Wrong::NoNumber));
        assert_eq!(duration("999999999999999d"), Err(Wrong::TooLarge));
        assert_eq!(duration("99999999999999999999s"), Err(Wrong::TooLarge));
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("4096", 4096), ("64KiB", 65_536), ("10 GiB", 10 << 30), ("3B", 3), ("0", 0)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(size("64KB"), Err(Wrong::Unit("KB".into())));
        assert_eq!(meant("KB", false), Some("KiB"));
        assert_eq!(meant("Sec", true), Some("s"));
        assert_eq!(meant("fortnight", true), None);
        assert_eq!(size("999999999999999TiB"), Err(Wrong::TooLarge));
    }

    #[test]
    fn written_as_read() {
        for text in ["250ms", "90s", "15m", "7d", "0s"] {
            assert_eq!(write_duration(duration(text).unwrap()), text);
        }
        for text in ["1B", "64KiB", "10GiB"] {
            assert_eq!(write_size(size(text).unwrap()), text);
        }
    }
}
