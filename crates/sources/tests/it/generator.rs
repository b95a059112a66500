//! Seeded events.

use std::time::Duration;

use arrow_array::{
    RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type, TimestampMillisecondType},
};
use config::{Generated, GeneratorSource, StreamColumn};
use model::DataType;
use sources::Generator;

use super::{column, rows};

const START: i64 = 1_700_000_000_000;

fn columns() -> Vec<StreamColumn> {
    vec![
        column("walk", DataType::Double),
        column("host", DataType::Text),
        column("wave", DataType::Double),
        column("n", DataType::BigInt),
        column("ts", DataType::Timestamp),
    ]
}

fn generator(seed: u64, rate: f64) -> Generator {
    let source = GeneratorSource {
        rate,
        seed,
        columns: vec![
            Generated::Walk { start: 50.0, step: 2.0, low: 40.0, high: 60.0 },
            Generated::Choice(vec!["a".to_owned(), "b".to_owned()]),
            Generated::Wave { low: -1.0, high: 1.0, period: Duration::from_secs(10) },
            Generated::Sequence(5),
            Generated::Now,
        ],
    };
    Generator::new(&source, &columns(), Some("ts"), START)
}

fn times(batch: &RecordBatch) -> Vec<i64> {
    batch.column(4).as_primitive::<TimestampMillisecondType>().values().to_vec()
}

#[test]
fn equal_seeds_and_calls_give_equal_events() {
    let run = |seed| {
        let mut generator = generator(seed, 100.0);
        let batches: Vec<RecordBatch> = (0..50).filter_map(|i| generator.batch(START + i * 37, usize::MAX)).collect();
        rows(&batches)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn times_lie_evenly_up_to_now() {
    let mut generator = generator(1, 20.0);
    assert_eq!(generator.due(START), 1);
    assert_eq!(generator.due(START + 1000), 21);
    let first = generator.batch(START + 100, 2).expect("events are due");
    assert_eq!(times(&first), [START, START + 50]);
    let second = generator.batch(START + 249, 100).expect("events are due");
    assert_eq!(times(&second), [START + 100, START + 150, START + 200]);
    assert_eq!(second.column(3).as_primitive::<Int64Type>().values(), &[7, 8, 9]);
    assert!(generator.batch(START + 249, 100).is_none());
    assert!(!second.schema().field(4).is_nullable());
}

#[test]
fn a_walk_belongs_to_its_choice_and_stays_within_its_bounds() {
    let mut generator = generator(3, 1000.0);
    let batch = generator.batch(START + 5000, usize::MAX).expect("events are due");
    let (walk, host) = (batch.column(0).as_primitive::<Float64Type>(), batch.column(1).as_string::<i32>());
    for wanted in ["a", "b"] {
        let mine: Vec<f64> =
            walk.values().iter().zip(host).filter(|(_, h)| *h == Some(wanted)).map(|(v, _)| *v).collect();
        assert!((mine[0] - 50.0).abs() < 1e-9, "starts at {}", mine[0]);
        assert!(mine.windows(2).all(|w| (w[1] - w[0]).abs() <= 2.0), "a step is at most 2");
        assert!(mine.iter().all(|v| (40.0..=60.0).contains(v)));
    }
    assert!(batch.column(2).as_primitive::<Float64Type>().values().iter().all(|v| (-1.0..=1.0).contains(v)));
}

#[test]
fn a_jumping_clock_owes_little() {
    let mut generator = generator(1, 10.0);
    generator.batch(START, 10).expect("the first event");
    // An hour of sleep is not made up for.
    let hour = START + 3_600_000;
    assert_eq!(times(&generator.batch(hour, usize::MAX).expect("one event")), [hour]);
    // A clock that goes back does not silence it.
    assert_eq!(times(&generator.batch(START, usize::MAX).expect("one event")), [START]);
    assert_eq!(generator.batch(START + 100, usize::MAX).map(|b| times(&b)), Some(vec![START + 100]));
}

#[test]
fn decimals_and_dates_are_made_within_their_bounds() {
    let columns = [
        column("price", DataType::Decimal { precision: 4, scale: 2 }),
        column("n", DataType::Decimal { precision: 3, scale: 1 }),
        column("day", DataType::Date),
    ];
    let made = vec![Generated::Uniform(99.0, 101.0), Generated::Sequence(98), Generated::Now];
    let source = GeneratorSource { rate: 1.0, seed: 1, columns: made };
    let mut generator = Generator::new(&source, &columns, None, START);
    let rows = rows(&[generator.batch(START + 50_000, 51).expect("events")]);
    assert!(rows[0].ends_with(r#""n":"98.0","day":"2023-11-14"}"#), "{}", rows[0]);
    assert!(rows[2].ends_with(r#""n":"99.9","day":"2023-11-14"}"#), "{}", rows[2]);
    // A hundred needs a fifth digit.
    assert!(rows.iter().any(|row| row.starts_with(r#"{"price":"99.99","#)));
    assert!(rows.iter().all(|row| row.starts_with(r#"{"price":"99."#)), "{rows:?}");
}
