//! The programs' arguments: `--name value`.

use std::str::FromStr;

use crate::Outcome;

/// The value after `--name`, or `default`.
pub fn option<T: FromStr>(name: &str, default: T) -> Outcome<T> {
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg.strip_prefix("--") == Some(name) {
            let value = args.next().ok_or_else(|| format!("--{name} needs a value"))?;
            return value.parse().map_err(|_| format!("--{name} does not take `{value}`").into());
        }
    }
    Ok(default)
}
