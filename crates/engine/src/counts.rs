//! Metrics that something must happen to first: they are there from the start, so that a rate
//! has a beginning and an alert sees the first of a kind.

use config::Config;
use metrics::{counter, gauge};
use model::{Reason, metric};

pub(crate) fn register(config: &Config) {
    for stream in config.streams.iter().filter(|s| !s.is_implied()) {
        let name = || stream.name.clone();
        counter!(metric::EVENTS_ACCEPTED, "stream" => name()).increment(0);
        gauge!(metric::SOURCE_FAILED, "stream" => name()).set(0.0);
        for reason in Reason::ALL {
            counter!(metric::DEAD_LETTERS, "stream" => name(), "reason" => reason.as_str()).increment(0);
        }
    }
    for feed in &config.feeds {
        counter!(metric::EVICTED, "feed" => feed.name.clone()).increment(0);
    }
    counter!(metric::EVENTS_LEFT_OUT).increment(0);
    gauge!(metric::LOG_FAILING).set(0.0);
    gauge!(metric::CHECKPOINT_FAILING).set(0.0);
}
