//! Times: RFC 3339 text and milliseconds to milliseconds, `YYYY-MM-DD` to days, both within
//! the years 0001 to 9999.

use jiff::{
    civil::{Date, DateTime, Time},
    fmt::temporal::Pieces,
    tz::Offset,
};

/// 0001-01-01T00:00:00Z in milliseconds since 1970.
const EARLIEST: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z in milliseconds since 1970.
const LATEST: i64 = 253_402_300_799_999;

/// Why something is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeError {
    /// Text of another form.
    Text,
    /// Outside of the years 0001 to 9999.
    Range,
}

/// Milliseconds, if they are within the years that can be written in RFC 3339.
#[inline]
pub(crate) fn checked(millis: i64) -> Result<i64, TimeError> {
    if (EARLIEST..=LATEST).contains(&millis) { Ok(millis) } else { Err(TimeError::Range) }
}

/// RFC 3339 text, also with a space for its `T`; what is finer than a millisecond is cut towards
/// the past. Without a zone it is UTC, and a date alone is its midnight: files are written so.
///
/// By its pieces, because `jiff::Timestamp` ends 26 hours before the year 9999 does, and
/// the last second of that year is what many programs write for "for ever".
pub(super) fn parse(text: &str) -> Result<i64, TimeError> {
    let pieces = Pieces::parse(text).ok().filter(|p| {
        // What names a zone must say its offset; without punctuation a date looks like a number.
        p.to_numeric_offset().is_some() || (p.time_zone_annotation().is_none() && text.as_bytes().get(4) == Some(&b'-'))
    });
    match pieces.map(|p| (p.date(), p.time(), p.to_numeric_offset())) {
        Some((date, time, offset)) => {
            let (time, offset) = (time.unwrap_or(Time::midnight()), offset.unwrap_or(Offset::UTC));
            let since_1970 = date.to_datetime(time).duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
            let nanos = since_1970.as_nanos() - i128::from(offset.seconds()) * 1_000_000_000;
            checked(i64::try_from(nanos.div_euclid(1_000_000)).map_err(|_| TimeError::Range)?)
        }
        None if has_long_year(text) => Err(TimeError::Range),
        None => Err(TimeError::Text),
    }
}

/// `YYYY-MM-DD`, and nothing else, to days since 1970-01-01.
pub(super) fn parse_date(text: &str) -> Result<i32, TimeError> {
    let bytes = text.as_bytes();
    let number =
        |digits: &[u8]| digits.iter().try_fold(0_i16, |n, b| b.is_ascii_digit().then(|| n * 10 + i16::from(b - b'0')));
    let parts = match bytes {
        [year @ .., b'-', m1, m2, b'-', d1, d2] if year.len() == 4 => {
            number(year).zip(number(&[*m1, *m2])).zip(number(&[*d1, *d2]))
        }
        _ => None,
    };
    match parts {
        Some(((year, month), day)) => {
            let date = Date::new(year, month as i8, day as i8).map_err(|_| TimeError::Text)?;
            let days = date.duration_since(Date::constant(1970, 1, 1)).as_secs() / 86_400;
            if year == 0 { Err(TimeError::Range) } else { Ok(days as i32) }
        }
        None if has_long_year(text) => Err(TimeError::Range),
        None => Err(TimeError::Text),
    }
}

/// Days since 1970-01-01 as `YYYY-MM-DD`; `None` outside of the years 0001 to 9999.
pub(crate) fn date_text(days: i32) -> Option<String> {
    let date = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    (date.year() > 0).then(|| date.to_string())
}

/// Whether the text starts like a date whose year has more than four digits.
fn has_long_year(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let year = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = &digits.as_bytes()[year..];
    year > 4 && matches!(rest, [b'-', a, b, b'-', ..] if a.is_ascii_digit() && b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_is_read_with_its_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Ok(0)),
            ("2023-11-14T22:13:20.123456Z", Ok(1_700_000_000_123)),
            ("2023-11-14T23:13:20+01:00", Ok(1_700_000_000_000)),
            ("1969-12-31T23:59:59.9995Z", Ok(-1)),
            ("0001-01-01T00:00:00Z", Ok(EARLIEST)),
            ("9999-12-31T23:59:59.999Z", Ok(LATEST)),
            ("0000-12-31T23:59:59Z", Err(TimeError::Range)),
            ("+294000-01-01T00:00:00Z", Err(TimeError::Range)),
            ("294000-01-01T00:00:00Z", Err(TimeError::Range)),
            ("0001-01-01T00:00:00+00:01", Err(TimeError::Range)),
            ("9999-12-31T23:59:59-01:00", Err(TimeError::Range)),
            ("2023-11-14", Ok(1_699_920_000_000)),
            ("2023-11-14T22:13:20", Ok(1_700_000_000_000)),
            ("2023-11-14 22:13:20.5", Ok(1_700_000_000_500)),
            ("2023-11-14 22:13", Ok(1_699_999_980_000)),
            ("2023-11-14T22:13:20[Europe/Berlin]", Err(TimeError::Text)),
            ("20231114", Err(TimeError::Text)),
            ("14.11.2023", Err(TimeError::Text)),
            ("11/14/2023", Err(TimeError::Text)),
            ("2023-02-30T00:00:00Z", Err(TimeError::Text)),
            ("yesterday", Err(TimeError::Text)),
            ("", Err(TimeError::Text)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn years_beyond_four_digits_are_out_of_range() {
        assert_eq!(checked(LATEST + 1), Err(TimeError::Range));
        assert_eq!(checked(EARLIEST - 1), Err(TimeError::Range));
        assert_eq!(checked(-1), Ok(-1));
    }

    #[test]
    fn dates_are_read_and_written_in_one_form() {
        for (text, expected) in [
            ("1970-01-01", Ok(0)),
            ("1969-12-31", Ok(-1)),
            ("2024-02-29", Ok(19_782)),
            ("0001-01-01", Ok(-719_162)),
            ("9999-12-31", Ok(2_932_896)),
            ("0000-12-31", Err(TimeError::Range)),
            ("10000-01-01", Err(TimeError::Range)),
            ("2023-02-29", Err(TimeError::Text)),
            ("2023-1-1", Err(TimeError::Text)),
            ("20230101", Err(TimeError::Text)),
            ("2023-01-01T00:00:00Z", Err(TimeError::Text)),
            ("+023-01-01", Err(TimeError::Text)),
            (" 2023-01-01", Err(TimeError::Text)),
            ("2023-01-0é", Err(TimeError::Text)),
            ("", Err(TimeError::Text)),
        ] {
            assert_eq!(parse_date(text), expected, "{text}");
            if let Ok(days) = expected {
                assert_eq!(date_text(days).as_deref(), Some(text));
            }
        }
        for days in [i32::MIN, -719_163, 2_932_897, i32::MAX] {
            assert_eq!(date_text(days), None, "{days}");
        }
    }
}
