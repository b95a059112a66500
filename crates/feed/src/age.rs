//! Which rows `keep` removes next.

use std::collections::BTreeMap;

use crate::order::{Chain, List, Metas};

/// Live rows by the time that `keep` counts from. Each row stands in it once, however
/// often its time moves, so it grows with the rows alone (INV-4).
pub(crate) enum Ages {
    /// There is no `keep`.
    Off,
    /// A list a time. Rows of windows share few times, so the map stays small.
    ByTime(BTreeMap<i64, List>),
    /// The clock never falls, so the row touched last is the youngest: one list will do.
    ByTouch(List),
}

impl Ages {
    /// Puts a row in, at `time`.
    pub(crate) fn add(&mut self, metas: &mut Metas, slot: u32, time: i64) {
        metas.get_mut(slot).time = time;
        match self {
            Self::Off => {}
            Self::ByTime(lists) => lists.entry(time).or_insert(List::EMPTY).push(metas, Chain::Age, slot),
            Self::ByTouch(list) => {
                if !list.is_empty() {
                    // Were the clock to fall after all, the list would no longer be in order.
                    let youngest = metas.get(list.tail).time;
                    metas.get_mut(slot).time = time.max(youngest);
                }
                list.push(metas, Chain::Age, slot);
            }
        }
    }

    /// Takes a row out.
    pub(crate) fn remove(&mut self, metas: &mut Metas, slot: u32) {
        match self {
            Self::Off => {}
            Self::ByTime(lists) => {
                let time = metas.get(slot).time;
                if let Some(list) = lists.get_mut(&time) {
                    list.remove(metas, Chain::Age, slot);
                    if list.is_empty() {
                        lists.remove(&time);
                    }
                }
            }
            Self::ByTouch(list) => list.remove(metas, Chain::Age, slot),
        }
    }

    /// Gives a row another time; whether that changed anything.
    pub(crate) fn touch(&mut self, metas: &mut Metas, slot: u32, time: i64) -> bool {
        let held = metas.get(slot).time;
        let moves = match self {
            Self::Off => false,
            Self::ByTime(_) => time != held,
            // At the same time it stays where it is: rows of one time go together.
            Self::ByTouch(_) => time > held,
        };
        if moves {
            self.remove(metas, slot);
            self.add(metas, slot, time);
        }
        moves
    }

    /// The earliest time.
    pub(crate) fn first(&self, metas: &Metas) -> Option<i64> {
        match self {
            Self::Off => None,
            Self::ByTime(lists) => lists.keys().next().copied(),
            Self::ByTouch(list) => (!list.is_empty()).then(|| metas.get(list.head).time),
        }
    }

    /// Takes out a row of the earliest time, if `keep` after it is not later than `now`.
    pub(crate) fn pop(&mut self, metas: &mut Metas, keep: i64, now: i64) -> Option<u32> {
        self.first(metas).filter(|time| time.saturating_add(keep) <= now)?;
        match self {
            Self::Off => None,
            Self::ByTime(lists) => {
                let mut first = lists.first_entry()?;
                let slot = first.get().head;
                first.get_mut().remove(metas, Chain::Age, slot);
                if first.get().is_empty() {
                    first.remove();
                }
                Some(slot)
            }
            Self::ByTouch(list) => {
                let slot = list.head;
                list.remove(metas, Chain::Age, slot);
                Some(slot)
            }
        }
    }
}
