//! `TUMBLE(stream, column, INTERVAL '…')`: reading it, and which window a time is in.

use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Interval, Spanned, Value, ValueWithSpan};

use super::sql::{Problem, ident_name};

/// Windows of equal width, one after the other, aligned to 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tumble {
    /// The width in milliseconds; at least 1.
    pub(crate) width: i64,
}

impl Tumble {
    /// The start of the window that `time` is in. `None` where a bound of the window
    /// lies beyond what a timestamp can hold.
    #[inline]
    pub(crate) fn start(self, time: i64) -> Option<i64> {
        let start = time.checked_sub(time.rem_euclid(self.width))?;
        start.checked_add(self.width)?;
        Some(start)
    }

    /// The end of the window that starts at `start`.
    #[inline]
    pub(crate) fn end(self, start: i64) -> i64 {
        start.saturating_add(self.width)
    }
}

/// The arguments of a `TUMBLE`.
pub(crate) struct TumbleArgs<'a> {
    pub(crate) stream: &'a Expr,
    pub(crate) time: &'a Expr,
    pub(crate) width: i64,
}

const FORM: &str = "write TUMBLE(stream, time_column, INTERVAL '10 seconds')";

/// Reads the arguments of a `TUMBLE`.
pub(crate) fn tumble_args(args: &[FunctionArg]) -> Result<TumbleArgs<'_>, Problem> {
    let exprs: Vec<&Expr> = args
        .iter()
        .filter_map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    let &[stream, time, width] = exprs.as_slice() else {
        return Err(Problem::new(format!("TUMBLE takes 3 arguments, found {}", args.len())).hint(FORM));
    };
    for (expr, what) in [(stream, "a stream"), (time, "a column of the stream")] {
        if ident_name(expr).is_none() {
            return Err(Problem::new(format!("TUMBLE expects {what} here, found `{expr}`")).hint(FORM).at(expr.span()));
        }
    }
    let Expr::Interval(interval) = width else {
        return Err(Problem::new(format!("the width of a window is an interval, found `{width}`"))
            .hint("write INTERVAL '10 seconds'")
            .at(width.span()));
    };
    let width = width_ms(interval).map_err(|p| p.at(width.span()))?;
    Ok(TumbleArgs { stream, time, width })
}

/// The width of an interval in milliseconds.
fn width_ms(interval: &Interval) -> Result<i64, Problem> {
    let text = match interval.value.as_ref() {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text) | Value::Number(text, _), .. }) => {
            text.clone()
        }
        other => {
            return Err(Problem::new(format!("the width of a window is a constant, found `{other}`"))
                .hint("write INTERVAL '10 seconds'"));
        }
    };
    let unreadable = || {
        Problem::new(format!("`{interval}` is not a width that a window can have"))
            .hint("write a number and a unit: milliseconds, seconds, minutes, hours, days or weeks")
    };
    let written = match &interval.leading_field {
        Some(unit) => format!("{text} {unit}"),
        None => text,
    };
    if interval.last_field.is_some() {
        return Err(unreadable());
    }
    let mut total = 0_f64;
    let mut rest = written.trim();
    if rest.is_empty() {
        return Err(unreadable());
    }
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_len);
        let after = after.trim_start();
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let number: f64 = number.parse().map_err(|_| unreadable())?;
        total += number
            * unit_ms(unit).ok_or_else(unreadable)?.map_err(|unit| {
                Problem::new(format!("a {unit} has no fixed length, so windows cannot be {unit}s"))
                    .hint("use days or weeks; or group by date_trunc('month', window_start) over windows of a day")
            })?;
        rest = after.trim_start();
    }
    if total <= 0.0 {
        return Err(Problem::new(format!("a window must be wider than nothing, found `{interval}`"))
            .hint("write INTERVAL '10 seconds'"));
    }
    // A thousand years: beyond any use, within what a timestamp can hold.
    if total.fract() != 0.0 || total > 3.2e13 {
        return Err(Problem::new(format!(
            "the width of a window is a whole number of milliseconds, found `{interval}`"
        ))
        .hint("write INTERVAL '10 seconds'"));
    }
    Ok(total as i64)
}

/// Milliseconds in a unit; the unit's name where it has no fixed length.
fn unit_ms(unit: &str) -> Option<Result<f64, &'static str>> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => Ok(1.0),
        "s" | "sec" | "secs" | "second" | "seconds" => Ok(1e3),
        "m" | "min" | "mins" | "minute" | "minutes" => Ok(60e3),
        "h" | "hr" | "hrs" | "hour" | "hours" => Ok(3600e3),
        "d" | "day" | "days" => Ok(86_400e3),
        "w" | "week" | "weeks" => Ok(604_800e3),
        "mon" | "month" | "months" => Err("month"),
        "y" | "year" | "years" => Err("year"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    fn width(sql: &str) -> Result<i64, Problem> {
        let expr = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap();
        let Expr::Interval(interval) = expr else { panic!("{sql} is no interval") };
        width_ms(&interval)
    }

    #[test]
    fn widths_are_read_in_every_spelling() {
        for (sql, ms) in [
            ("INTERVAL '10 seconds'", 10_000),
            ("INTERVAL '1' MINUTE", 60_000),
            ("INTERVAL 5 MINUTES", 300_000),
            ("INTERVAL '1 minute 30 seconds'", 90_000),
            ("INTERVAL '1.5 hours'", 5_400_000),
            ("INTERVAL '250ms'", 250),
            ("INTERVAL '1 week'", 604_800_000),
        ] {
            assert_eq!(width(sql).ok(), Some(ms), "{sql}");
        }
        for sql in [
            "INTERVAL '1 month'",
            "INTERVAL '1' YEAR",
            "INTERVAL '0 seconds'",
            "INTERVAL '-1 second'",
            "INTERVAL '10'",
            "INTERVAL ''",
            "INTERVAL '1 parsec'",
            "INTERVAL '0.5 ms'",
            "INTERVAL '9999999999999 weeks'",
        ] {
            assert!(width(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn times_before_1970_fall_into_the_window_below() {
        let tumble = Tumble { width: 10 };
        for (time, start) in [(0, 0), (9, 0), (10, 10), (-1, -10), (-10, -10), (-11, -20)] {
            assert_eq!(tumble.start(time), Some(start), "{time}");
        }
        assert_eq!(tumble.start(i64::MAX), None);
        assert_eq!(tumble.start(i64::MIN), None);
    }
}
