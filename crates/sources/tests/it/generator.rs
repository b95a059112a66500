//! Seeded events.

use std::time::Duration;

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{Float64Type, Int64Type, TimestampMillisecondType},
};
use config::{Generated, GeneratorSource, Late, Rhythm, RhythmWave, Silent, Spell, StreamColumn};
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
            Generated::Choice { texts: vec!["a".to_owned(), "b".to_owned()], weights: vec![] },
            Generated::Wave { low: -1.0, high: 1.0, period: Duration::from_secs(10) },
            Generated::Sequence(5),
            Generated::Now,
        ],
        rhythm: Rhythm::default(),
        late: None,
        silent: None,
        history: Duration::ZERO,
    };
    Generator::new(&source, &columns(), Some("ts"), START, true)
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
    let source = GeneratorSource {
        rate: 1.0,
        seed: 1,
        columns: made,
        rhythm: Rhythm::default(),
        late: None,
        silent: None,
        history: Duration::ZERO,
    };
    let mut generator = Generator::new(&source, &columns, None, START, true);
    let rows = rows(&[generator.batch(START + 50_000, 51).expect("events")]);
    assert!(rows[0].ends_with(r#""n":"98.0","day":"2023-11-14"}"#), "{}", rows[0]);
    assert!(rows[2].ends_with(r#""n":"99.9","day":"2023-11-14"}"#), "{}", rows[2]);
    // A hundred needs a fifth digit.
    assert!(rows.iter().any(|row| row.starts_with(r#"{"price":"99.99","#)));
    assert!(rows.iter().all(|row| row.starts_with(r#"{"price":"99."#)), "{rows:?}");
}

#[test]
fn a_past_is_made_at_once_and_once() {
    let source = |history| GeneratorSource {
        rate: 10.0,
        seed: 1,
        columns: vec![Generated::Now],
        rhythm: Rhythm::default(),
        late: None,
        silent: None,
        history,
    };
    let columns = [column("ts", DataType::Timestamp)];
    let day = Duration::from_hours(24);
    let all = |with_past| {
        let mut generator = Generator::new(&source(day), &columns, Some("ts"), START, with_past);
        let times = |batch: RecordBatch| batch.column(0).as_primitive::<TimestampMillisecondType>().values().to_vec();
        let mut all = Vec::new();
        while let Some(batch) = generator.batch(START, 8_192) {
            all.extend(times(batch));
        }
        all
    };
    let made = all(true);
    assert_eq!((made.len(), made[0], made[864_000]), (864_001, START - 86_400_000, START));
    assert!(made.windows(2).all(|w| w[1] - w[0] == 100));
    assert_eq!(all(false), [START]);
}

/// Events of `seconds`, a thousand a second, with what a change makes of the source.
fn shaped(seconds: i64, change: impl FnOnce(&mut GeneratorSource)) -> RecordBatch {
    let columns = [column("who", DataType::Text), column("ms", DataType::Double), column("ts", DataType::Timestamp)];
    let texts = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let mut source = GeneratorSource {
        rate: 1000.0,
        seed: 5,
        columns: vec![
            Generated::Choice { texts, weights: vec![1.0, 2.0, 0.0, 7.0] },
            Generated::Lognormal { median: 30.0, spread: 0.5 },
            Generated::Now,
        ],
        rhythm: Rhythm::default(),
        late: None,
        silent: None,
        history: Duration::ZERO,
    };
    change(&mut source);
    let start = 1_700_000_040_000; // Of a minute.
    let mut generator = Generator::new(&source, &columns, Some("ts"), start, true);
    generator.batch(start + seconds * 1000 - 1, usize::MAX).expect("events are due")
}

#[test]
fn weights_say_how_often_a_text_comes() {
    let batch = shaped(10, |_| {});
    let who = batch.column(0).as_string::<i32>();
    let share = |text: &str| who.iter().filter(|w| *w == Some(text)).count() as f64 / who.len() as f64;
    assert_eq!(who.len(), 10_000);
    assert!((share("a") - 0.1).abs() < 0.02 && (share("b") - 0.2).abs() < 0.02 && (share("d") - 0.7).abs() < 0.02);
    assert_eq!(share("c").to_bits(), 0.0_f64.to_bits());
}

#[test]
fn a_lognormal_has_its_median_and_a_long_end() {
    let batch = shaped(10, |_| {});
    let mut ms = batch.column(1).as_primitive::<Float64Type>().values().to_vec();
    ms.sort_by(f64::total_cmp);
    let at = |share: f64| ms[(share * ms.len() as f64) as usize];
    assert!((at(0.5) - 30.0).abs() < 1.0, "{}", at(0.5));
    // 30 * exp(0.5 * 2.326)
    assert!((at(0.99) - 96.0).abs() < 8.0, "{}", at(0.99));
    assert!(ms[0] > 0.0);
}

#[test]
fn a_rhythm_has_crests_spikes_and_outages() {
    let seconds = Duration::from_secs;
    let batch = shaped(60, |source| {
        source.rhythm = Rhythm {
            wave: Some(RhythmWave { low: 0.1, high: 0.5, period: seconds(30) }),
            spike: Some(Spell { every: seconds(60), lasts: seconds(5) }),
            outage: Some(Spell { every: seconds(40), lasts: seconds(4) }),
        };
    });
    let mut by_second = [0; 60];
    for time in batch.column(2).as_primitive::<TimestampMillisecondType>().values() {
        by_second[((time - 1_700_000_040_000) / 1000) as usize] += 1;
    }
    let near = |second: usize, wanted: i32| (by_second[second] - wanted).abs() < 80;
    assert!(near(7, 500) && near(22, 100) && near(52, 100), "{by_second:?}");
    assert_eq!(by_second[55..], [1000; 5], "{by_second:?}");
    // Of forty seconds since 1970 the last four: 1,700,000,040 is a multiple of 40 and 120.
    assert_eq!(by_second[36..40], [0; 4], "{by_second:?}");
}

#[test]
fn some_events_are_late_and_some_values_silent() {
    let by = Duration::from_secs(20);
    let batch = shaped(30, |source| {
        source.late = Some(Late { share: 0.1, by });
        source.silent = Some(Silent { column: 0, share: 0.5, lasts: Duration::from_secs(5) });
    });
    let (who, times) = (batch.column(0).as_string::<i32>(), batch.column(2).as_primitive::<TimestampMillisecondType>());
    let late = times.values().windows(2).filter(|w| w[1] < w[0] - 15_000).count() as f64;
    assert!((late / who.len() as f64 - 0.1).abs() < 0.02, "{late} of {}", who.len());
    // Each text has seconds with events, and five in a row without.
    for text in ["a", "b", "d"] {
        let mut heard = [false; 30];
        for (_, time) in who.iter().zip(times.values()).filter(|(w, _)| *w == Some(text)) {
            if let Ok(second) = usize::try_from((time - 1_700_000_040_000).div_euclid(1000)) {
                heard[second.min(29)] = true;
            }
        }
        assert!(heard.iter().any(|h| *h), "{text} is never heard");
    }
    assert!(who.len() < 24_000, "{} events: nobody was silent", who.len());
}
