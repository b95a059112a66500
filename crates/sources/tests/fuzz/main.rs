//! Each decoder against an oracle that others wrote, on inputs that are made by structure
//! and then broken: the same rows or the same refusal, and never a panic.
//!
//! A short run is a part of every test run. `FUZZ_INPUTS=10000000` makes a long one of so
//! many inputs a decoder, `FUZZ_SEED` another one; a failure names its seed and the number of
//! the input, and prints it.

mod csv;
mod json;
mod made;
mod msgpack;

use std::sync::OnceLock;

use config::StreamColumn;
use made::Made;
use model::DataType;

/// Inputs of a short run.
const SHORT: u64 = 5_000;

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given
        .map_or(default, |text| text.replace('_', "").parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Makes inputs and checks each. The check says what came of it, so that a run can show that
/// its inputs were not all good or all bad.
fn run(
    name: &str,
    mut make: impl FnMut(&mut Made) -> Vec<u8>,
    mut check: impl FnMut(&[u8]) -> Result<Outcome, String>,
) {
    let (inputs, seed) = (number("FUZZ_INPUTS", SHORT), number("FUZZ_SEED", 1));
    let mut made = Made::new(seed);
    let mut sum = Outcome::default();
    for i in 0..inputs {
        let input = make(&mut made);
        match check(&input) {
            Ok(outcome) => sum.add(outcome),
            Err(why) => panic!(
                "{name}: input {i} of FUZZ_SEED={seed}: {why}\nas text: {}\nas bytes: {input:02x?}",
                String::from_utf8_lossy(&input)
            ),
        }
    }
    println!(
        "{name}: {inputs} inputs, {} records accepted, {} refused, {} inputs refused whole",
        sum.accepted, sum.refused, sum.whole
    );
    assert!(sum.accepted > inputs / 10 && sum.refused > inputs / 10, "{name}: the inputs are of one kind: {sum:?}");
}

/// What came of an input.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    accepted: u64,
    refused: u64,
    whole: u64,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.whole += other.whole;
    }
}

/// A column of every type, and one that must not be null.
fn columns() -> &'static [StreamColumn] {
    static COLUMNS: OnceLock<Vec<StreamColumn>> = OnceLock::new();
    COLUMNS.get_or_init(every_type)
}

fn every_type() -> Vec<StreamColumn> {
    let column = |name: &str, data_type, not_null| StreamColumn {
        name: name.to_owned(),
        from: name.to_owned(),
        data_type,
        not_null,
    };
    let mut columns: Vec<StreamColumn> = DataType::ALL.iter().map(|t| column(t.name(), *t, false)).collect();
    columns.push(column("must", DataType::BigInt, true));
    columns
}
