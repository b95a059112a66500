//! Numbers as JSON writes them, read in one pass.
//!
//! Every function takes the input and where a number starts, and returns its value and
//! where it ends. `None` means "not here": not a JSON number, or one that needs more care
//! than a fast pass has. What follows the number is the caller's to check.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Eight digits at once, or `None` if one of the next eight bytes is no digit.
/// (Mula and Lemire's multiply-and-shift.)
#[inline]
fn eight_digits(bytes: &[u8], pos: usize) -> Option<u64> {
    let chunk = u64::from_le_bytes(*bytes.get(pos..)?.first_chunk()?);
    let below = chunk.wrapping_sub(0x3030_3030_3030_3030);
    let above = chunk.wrapping_add(0x4646_4646_4646_4646);
    if (below | above) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = below.wrapping_mul(10).wrapping_add(below >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(low.wrapping_add(high) >> 32)
}

/// Digits at `pos`, at most 18 of them in all with the `before` that came earlier: their
/// value behind `start`, how many there are now, and where they end.
#[inline]
fn digits(bytes: &[u8], mut pos: usize, start: u64, before: usize) -> Option<(u64, usize, usize)> {
    let (mut value, mut count) = (start, before);
    while count <= 10
        && let Some(eight) = eight_digits(bytes, pos)
    {
        value = value * 100_000_000 + eight;
        pos += 8;
        count += 8;
    }
    while let Some(digit) = bytes.get(pos).map(|b| b.wrapping_sub(b'0'))
        && digit < 10
    {
        if count == 18 {
            return None;
        }
        value = value * 10 + u64::from(digit);
        pos += 1;
        count += 1;
    }
    Some((value, count, pos))
}

/// The digits before the point: value, count and end; none but a single zero starts with 0.
#[inline]
fn whole(bytes: &[u8], pos: usize) -> Option<(u64, usize, usize)> {
    let (value, count, end) = digits(bytes, pos, 0, 0)?;
    let leading_zero = count > 1 && bytes[pos] == b'0';
    (count > 0 && !leading_zero).then_some((value, count, end))
}

#[inline]
fn sign(bytes: &[u8], pos: usize) -> (bool, usize) {
    let negative = bytes.get(pos) == Some(&b'-');
    (negative, pos + usize::from(negative))
}

/// An integer of at most 18 digits, without fraction or exponent.
#[inline]
pub(super) fn integer(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    let (negative, pos) = sign(bytes, pos);
    let (value, _, end) = whole(bytes, pos)?;
    if matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
        return None;
    }
    let value = value as i64;
    Some((if negative { -value } else { value }, end))
}

/// A double.
#[inline]
pub(super) fn double(bytes: &[u8], start: usize) -> Option<(f64, usize)> {
    let (negative, pos) = sign(bytes, start);
    let Some((mut mantissa, count, mut end)) = whole(bytes, pos) else {
        return long_double(bytes, start);
    };
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        let Some((value, all, after)) = digits(bytes, end + 1, mantissa, count) else {
            return long_double(bytes, start);
        };
        fraction = all - count;
        if fraction == 0 {
            return None;
        }
        (mantissa, end) = (value, after);
    }
    if mantissa > 1 << 53 || matches!(bytes.get(end), Some(b'e' | b'E')) {
        return long_double(bytes, start);
    }
    // Both operands are exact, so one division rounds correctly (Clinger 1990).
    let value = mantissa as f64 / POWERS[fraction];
    Some((if negative { -value } else { value }, end))
}

/// A double with many digits or an exponent; `None` if it is beyond what a double holds.
fn long_double(bytes: &[u8], start: usize) -> Option<(f64, usize)> {
    let end = number_end(bytes, start)?;
    let value: f64 = fast_float2::parse(&bytes[start..end]).ok()?;
    value.is_finite().then_some((value, end))
}

/// Where the number at `pos` ends, by JSON's grammar.
pub(super) fn number_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let run = |mut pos: usize| {
        let start = pos;
        while bytes.get(pos).is_some_and(u8::is_ascii_digit) {
            pos += 1;
        }
        (pos > start).then_some(pos)
    };
    let (_, start) = sign(bytes, pos);
    let mut end = run(start)?;
    if bytes[start] == b'0' && end - start > 1 {
        return None;
    }
    if bytes.get(end) == Some(&b'.') {
        end = run(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = run(end + 1 + usize::from(signed))?;
    }
    Some(end)
}

/// Why a number is no integer of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotInteger {
    /// It has a fraction.
    Fraction,
    /// It is beyond the range.
    Range,
}

/// A number of JSON's grammar as an exact integer: `1.0` and `1e3` are integers, `1.5` is not.
pub(super) fn exact_integer(number: &str) -> Result<i64, NotInteger> {
    let (value, fraction) = floor(number, 0)?;
    if fraction { Err(NotInteger::Fraction) } else { as_i64(value) }
}

/// The greatest integer that is not above a number of JSON's grammar.
pub(super) fn floor_integer(number: &str) -> Result<i64, NotInteger> {
    let (value, fraction) = floor(number, 0)?;
    as_i64(if fraction && number.starts_with('-') { value - 1 } else { value })
}

/// A number of JSON's grammar times 10^`scale`, if that is an integer of at most `precision`
/// digits.
pub(super) fn exact_decimal(number: &str, precision: u8, scale: u8) -> Option<i128> {
    let (value, fraction) = floor(number, i64::from(scale)).ok()?;
    (!fraction && value.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(value)
}

/// The same, in one pass, where the number is a short one without exponent.
#[inline]
pub(super) fn decimal(bytes: &[u8], start: usize, precision: u8, scale: u8) -> Option<(i128, usize)> {
    let (negative, pos) = sign(bytes, start);
    let (mut value, count, mut end) = whole(bytes, pos)?;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        let (all_digits, all, after) = digits(bytes, end + 1, value, count)?;
        fraction = all - count;
        if fraction == 0 {
            return None;
        }
        (value, end) = (all_digits, after);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        return None;
    }
    let zeros = usize::from(scale).checked_sub(fraction)?;
    let value = i128::from(value).checked_mul(10_i128.pow(zeros as u32))?;
    let fits = value.unsigned_abs() < 10_u128.pow(u32::from(precision));
    fits.then_some((if negative { -value } else { value }, end))
}

/// The integer part, towards zero, of a number times 10^`shift`, and whether it has a fraction.
fn floor(number: &str, shift: i64) -> Result<(i128, bool), NotInteger> {
    let unsigned = number.trim_start_matches('-');
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // An exponent beyond an i64 is further from zero than any record has digits.
    let exponent: i64 = exponent.parse().unwrap_or(if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 });
    let point = (whole.len() as i64).saturating_add(exponent).saturating_add(shift);
    let mut digits = whole.bytes().chain(fraction.bytes()).enumerate();
    let mut value: i128 = 0;
    let mut seen = 0;
    let longer = |value: i128, digit: u8| {
        let longer = value.checked_mul(10).and_then(|v| v.checked_add(i128::from(digit - b'0')));
        longer.ok_or(NotInteger::Range)
    };
    let signed = |value: i128| if number.starts_with('-') { -value } else { value };
    while let Some((i, digit)) = digits.next() {
        if i as i64 >= point {
            let zero = digit == b'0' && digits.all(|(_, d)| d == b'0');
            return Ok((signed(value), !zero));
        }
        value = longer(value, digit)?;
        seen = i as i64 + 1;
    }
    // Zeros that the exponent adds behind the last digit; zero stays zero with any number of them.
    for _ in 0..(point - seen).clamp(0, 40) {
        value = longer(value, b'0')?;
    }
    Ok((signed(value), false))
}

fn as_i64(value: i128) -> Result<i64, NotInteger> {
    i64::try_from(value).map_err(|_| NotInteger::Range)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_exact_or_refused() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("-0", Ok(0)),
            ("1.0", Ok(1)),
            ("1e3", Ok(1000)),
            ("1200e-2", Ok(12)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("9007199254740993", Ok(9_007_199_254_740_993)),
            ("0e999999999999999999999", Ok(0)),
            ("9223372036854775808", Err(NotInteger::Range)),
            ("1e99", Err(NotInteger::Range)),
            ("1e99999999999999999999", Err(NotInteger::Range)),
            ("1.5", Err(NotInteger::Fraction)),
            ("1e-3", Err(NotInteger::Fraction)),
            ("1e-99999999999999999999", Err(NotInteger::Fraction)),
            ("0.000", Ok(0)),
        ] {
            assert_eq!(exact_integer(text), expected, "{text}");
        }
        assert_eq!(floor_integer("-1.5"), Ok(-2));
        assert_eq!(floor_integer("-1.0"), Ok(-1));
        assert_eq!(floor_integer("-0.5"), Ok(-1));
        assert_eq!(floor_integer("1700000000000.999"), Ok(1_700_000_000_000));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let nines = "9".repeat(38);
        for (text, precision, scale, expected) in [
            ("12.34", 4, 2, Some(1234)),
            ("-12.340000000000000000000000000000000", 4, 2, Some(-1234)),
            ("12.345", 10, 2, None),
            ("123.45", 4, 2, None),
            ("0.00", 1, 1, Some(0)),
            ("1.234e1", 4, 2, Some(1234)),
            ("1e-2", 2, 2, Some(1)),
            ("1e-3", 2, 2, None),
            ("1e2", 5, 2, Some(10_000)),
            ("1e2", 4, 2, None),
            ("0e999999999999999999999", 1, 0, Some(0)),
            ("1e-999999999999999999999", 38, 38, None),
            ("1e38", 38, 0, None),
            (&nines, 38, 0, Some(10_i128.pow(38) - 1)),
            (&format!("-0.{nines}"), 38, 38, Some(1 - 10_i128.pow(38))),
            (&format!("{nines}0"), 38, 0, None),
        ] {
            assert_eq!(exact_decimal(text, precision, scale), expected, "{text}");
            if let Some((value, end)) = decimal(text.as_bytes(), 0, precision, scale) {
                assert_eq!((Some(value), end), (expected, text.len()), "{text}");
            }
        }
        assert_eq!(decimal(b"12.34,", 0, 4, 2), Some((1234, 5)));
    }

    #[test]
    fn what_json_does_not_call_a_number_is_none() {
        for text in ["", "-", "+1", ".5", "5.", "01", "-01", "1.e5", "1e", "1e+", "NaN", "Infinity", "x"] {
            assert_eq!(double(text.as_bytes(), 0), None, "{text}");
            let whole = number_end(text.as_bytes(), 0) == Some(text.len());
            assert!(!whole, "{text}");
        }
        assert_eq!(double(b"1e999", 0), None);
    }

    proptest! {
        #[test]
        fn doubles_are_those_of_the_standard_library(
            text in r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
            tail in "[,} ]?",
        ) {
            let input = format!("{text}{tail}");
            let expected: f64 = text.parse().expect("the pattern is a number");
            let found = double(input.as_bytes(), 0);
            if expected.is_finite() {
                let (value, end) = found.expect("a JSON number");
                prop_assert_eq!((value.to_bits(), end), (expected.to_bits(), text.len()));
            } else {
                prop_assert_eq!(found, None);
            }
            prop_assert_eq!(number_end(input.as_bytes(), 0), Some(text.len()));
        }

        #[test]
        fn decimals_print_as_they_were(value in any::<i128>(), shift in 0_u32..127, scale in 0_u8..=38) {
            let value = value >> shift;
            let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
            let sign = if value < 0 { "-" } else { "" };
            let point = if scale == 0 { "" } else { "." };
            let text = format!("{sign}{whole}{point}{fraction}");
            let fits = value.unsigned_abs() < 10_u128.pow(38);
            prop_assert_eq!(exact_decimal(&text, 38, scale), fits.then_some(value));
            if let Some(found) = decimal(text.as_bytes(), 0, 38, scale) {
                prop_assert_eq!(found, (value, text.len()));
            }
        }

        #[test]
        fn integers_are_those_of_the_standard_library(value in any::<i64>(), shift in 0_u32..63) {
            let value = value >> shift;
            let text = value.to_string();
            prop_assert_eq!(exact_integer(&text), Ok(value));
            if value.unsigned_abs() < 1_000_000_000_000_000_000 {
                prop_assert_eq!(integer(text.as_bytes(), 0), Some((value, text.len())));
            }
        }
    }
}
