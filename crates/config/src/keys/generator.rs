//! The keys of a generator: what it makes, and when.

use super::{CENTURY, DAY, MILLISECOND, ZERO, may, must, or, secs, stream::FORMAT_IS_BESIDE};
use crate::shape::{Naming, Section, Shape};

/// `type: generator`.
pub(crate) static SOURCE_GENERATOR: Section = Section {
    name: "source_generator",
    about: "Random data for demonstrations and tests.",
    keys: &[
        must("type", Shape::Word(&["generator"]), "The kind of source."),
        must("rate", Shape::Number, "Events a second: more than 0, at most 1000000."),
        or("seed", Shape::Count { low: 0, high: u64::MAX }, "0", "Equal seeds give equal values."),
        may(
            "columns",
            Shape::Named { name: Naming::Identifier, of: &Shape::Either(&GENERATED) },
            "What each column gets; timestamp columns get the event's time unless said.",
        ),
        may("rhythm", Shape::Section(&RHYTHM), "How the rate goes up and down; steady unless said."),
        may("late", Shape::Section(&LATE), "Events that are older than they should be; none unless said."),
        or(
            "history",
            Shape::Duration { low: ZERO, high: secs(30 * DAY) },
            "0s",
            "How much of the past is made at the first start of a data directory.",
        ),
        may("silent", Shape::Section(&SILENT), "Values of a choice that send nothing for a while; none unless said."),
    ],
    elsewhere: &[FORMAT_IS_BESIDE],
};

const SPELL_LASTS: &str = "How long it lasts; less than `every`.";

/// What stands under `rhythm:`.
pub(crate) static RHYTHM: Section = Section {
    name: "rhythm",
    about: "How the rate goes up and down.",
    keys: &[
        may("wave", Shape::Section(&RHYTHM_WAVE), "Up and down between two shares of the rate."),
        may("spike", Shape::Section(&SPELL), "All of the rate, now and then."),
        may("outage", Shape::Section(&SPELL), "Nothing at all, now and then."),
    ],
    elsewhere: &[],
};

/// A rhythm's wave.
pub(crate) static RHYTHM_WAVE: Section = Section {
    name: "rhythm_wave",
    about: "Up and down between two shares of the rate.",
    keys: &[
        must("low", Shape::Number, "The least share of the rate, 0 to 1."),
        must("high", Shape::Number, "The greatest share of the rate, 0 to 1."),
        must("period", Shape::Duration { low: MILLISECOND, high: CENTURY }, "From crest to crest."),
    ],
    elsewhere: &[],
};

/// Something that comes again.
pub(crate) static SPELL: Section = Section {
    name: "spell",
    about: "Something that lasts a while and comes again.",
    keys: &[
        must("every", Shape::Duration { low: MILLISECOND, high: CENTURY }, "From one beginning to the next."),
        must("for", Shape::Duration { low: MILLISECOND, high: CENTURY }, SPELL_LASTS),
    ],
    elsewhere: &[],
};

/// What stands under `late:`.
pub(crate) static LATE: Section = Section {
    name: "late",
    about: "Events that are older than they should be.",
    keys: &[
        must("share", Shape::Number, "How many, 0 to 1."),
        must("by", Shape::Duration { low: MILLISECOND, high: CENTURY }, "By how much."),
    ],
    elsewhere: &[],
};

/// What stands under `silent:`.
pub(crate) static SILENT: Section = Section {
    name: "silent",
    about: "Values of a choice that send nothing for a while.",
    keys: &[
        must("column", Shape::Identifier, "The column, which gets a `choice`."),
        must("share", Shape::Number, "How many of its values at a time, 0 to 1."),
        must("for", Shape::Duration { low: MILLISECOND, high: CENTURY }, "For how long; then others are silent."),
    ],
    elsewhere: &[],
};

static GENERATED: [Shape; 7] = [
    Shape::Word(&["now"]),
    Shape::Section(&CHOICE),
    Shape::Section(&UNIFORM),
    Shape::Section(&WALK),
    Shape::Section(&WAVE),
    Shape::Section(&LOGNORMAL),
    Shape::Section(&SEQUENCE),
];

/// `{ choice: [a, b] }`.
pub(crate) static CHOICE: Section = Section {
    name: "generated_choice",
    about: "One of these texts.",
    keys: &[must("choice", Shape::Either(&CHOICES), "The texts; with a number each, some come more often.")],
    elsewhere: &[],
};

static CHOICES: [Shape; 2] =
    [Shape::List { of: &Shape::Text, low: 1, high: 100_000 }, Shape::Weights { of: &Shape::Number }];

/// `{ uniform: [low, high] }`.
pub(crate) static UNIFORM: Section = Section {
    name: "generated_uniform",
    about: "A number evenly between two.",
    keys: &[must("uniform", Shape::List { of: &Shape::Number, low: 2, high: 2 }, "The least and the most.")],
    elsewhere: &[],
};

/// `{ walk: … }`.
pub(crate) static WALK: Section = Section {
    name: "generated_walk",
    about: "A random walk within bounds, one for each combination of the event's `choice` columns.",
    keys: &[must("walk", Shape::Section(&WALK_OPTIONS), "The walk.")],
    elsewhere: &[],
};

/// What stands under `walk:`.
pub(crate) static WALK_OPTIONS: Section = Section {
    name: "walk",
    about: "A random walk within bounds.",
    keys: &[
        must("start", Shape::Number, "Where it begins."),
        must("step", Shape::Number, "The most that it moves from one event to the next; more than 0."),
        must("low", Shape::Number, "The least."),
        must("high", Shape::Number, "The most."),
    ],
    elsewhere: &[],
};

/// `{ wave: … }`.
pub(crate) static WAVE: Section = Section {
    name: "generated_wave",
    about: "A sine over time with a little noise.",
    keys: &[must("wave", Shape::Section(&WAVE_OPTIONS), "The wave.")],
    elsewhere: &[],
};

/// What stands under `wave:`.
pub(crate) static WAVE_OPTIONS: Section = Section {
    name: "wave",
    about: "A sine over time.",
    keys: &[
        must("low", Shape::Number, "The least."),
        must("high", Shape::Number, "The most."),
        must("period", Shape::Duration { low: MILLISECOND, high: CENTURY }, "From crest to crest."),
    ],
    elsewhere: &[],
};

/// `{ lognormal: … }`.
pub(crate) static LOGNORMAL: Section = Section {
    name: "generated_lognormal",
    about: "A number mostly around the median, now and then far above it: times and amounts are so.",
    keys: &[must("lognormal", Shape::Section(&LOGNORMAL_OPTIONS), "The distribution.")],
    elsewhere: &[],
};

/// What stands under `lognormal:`.
pub(crate) static LOGNORMAL_OPTIONS: Section = Section {
    name: "lognormal",
    about: "A lognormal distribution.",
    keys: &[
        must("median", Shape::Number, "Half of the values are less; more than 0."),
        must("spread", Shape::Number, "The standard deviation of the logarithm, 0 to 5: 0.5 is moderate."),
    ],
    elsewhere: &[],
};

/// `{ sequence: 1 }`.
pub(crate) static SEQUENCE: Section = Section {
    name: "generated_sequence",
    about: "A number one more than that of the event before.",
    keys: &[must("sequence", Shape::Integer, "The first.")],
    elsewhere: &[],
};
