//! How much may come in a second: requests in all and from one address, events of a stream.
//!
//! Each is a rate with room for one second's worth at once (GCRA, by the crate `governor`).

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use parking_lot::RwLock;

/// Addresses that are forgotten, if they have been quiet, every so many requests.
const FORGET_EVERY: usize = 10_000;

/// The rates of a server.
pub struct Rates {
    clock: DefaultClock,
    requests: RwLock<Requests>,
    /// In the order of the backend's streams.
    events: Vec<(NonZeroU32, DefaultDirectRateLimiter)>,
    seen: AtomicUsize,
}

/// How many requests come.
struct Requests {
    most: (usize, usize),
    all: DefaultDirectRateLimiter,
    of_address: DefaultKeyedRateLimiter<IpAddr>,
}

impl Requests {
    fn new(all: usize, of_address: usize) -> Self {
        Self {
            most: (all, of_address),
            all: RateLimiter::direct(Quota::per_second(rate(all))),
            of_address: RateLimiter::keyed(Quota::per_second(rate(of_address))),
        }
    }
}

/// Why a batch of events is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is room for it after this time.
    TooFast(Duration),
    /// There never is: a second has room for so many.
    TooMany {
        /// So many.
        most: u32,
    },
}

/// Too much: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast(pub Duration);

impl Rates {
    /// With so many requests a second in all and of one address, and so many events a second of
    /// each stream.
    pub fn new(requests: usize, of_address: usize, events: impl Iterator<Item = usize>) -> Self {
        Self {
            clock: DefaultClock::default(),
            requests: RwLock::new(Requests::new(requests, of_address)),
            events: events.map(rate).map(|rate| (rate, RateLimiter::direct(Quota::per_second(rate)))).collect(),
            seen: AtomicUsize::new(0),
        }
    }

    /// With so many requests a second in all and of one address from now on.
    pub fn change(&self, requests: usize, of_address: usize) {
        // What was counted goes on counting unless it must not.
        if self.requests.read().most != (requests, of_address) {
            *self.requests.write() = Requests::new(requests, of_address);
        }
    }

    /// Counts a request.
    pub fn request(&self, address: IpAddr) -> Result<(), TooFast> {
        let Requests { all, of_address, .. } = &*self.requests.read();
        if self.seen.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            of_address.retain_recent();
            of_address.shrink_to_fit();
        }
        let wait = |until: governor::NotUntil<_>| TooFast(until.wait_time_from(self.clock.now()));
        of_address.check_key(&address).map_err(wait)?;
        all.check().map_err(wait)
    }

    /// Counts a batch of events; one that is larger than a second's worth is refused for good.
    pub fn events(&self, stream: usize, count: u64) -> Result<(), Refused> {
        let (rate, limiter) = &self.events[stream];
        let too_many = Refused::TooMany { most: rate.get() };
        let Some(count) = NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX)) else { return Ok(()) };
        match limiter.check_n(count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(Refused::TooFast(until.wait_time_from(self.clock.now()))),
            Err(_) => Err(too_many),
        }
    }
}

fn rate(a_second: usize) -> NonZeroU32 {
    NonZeroU32::new(u32::try_from(a_second).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rate_holds_for_itself() {
        let rates = Rates::new(100, 3, [10, 1_000_000].into_iter());
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        assert!((0..3).all(|_| rates.request(a).is_ok()));
        let TooFast(wait) = rates.request(a).unwrap_err();
        assert!(wait > Duration::ZERO && wait < Duration::from_secs(1), "{wait:?}");
        assert_eq!(rates.request(b), Ok(()));
        rates.change(100, 3);
        assert!(rates.request(a).is_err(), "the same limits forget nothing");
        rates.change(100, 5);
        assert_eq!(rates.request(a), Ok(()));
        assert_eq!(rates.events(0, 8), Ok(()));
        assert!(matches!(rates.events(0, 8), Err(Refused::TooFast(_))));
        assert_eq!(rates.events(0, 11), Err(Refused::TooMany { most: 10 }), "more than a second ever has room for");
        assert_eq!(rates.events(1, 1_000_000), Ok(()));
        assert!(matches!(rates.events(1, 1_000_000), Err(Refused::TooFast(_))));
    }
}
