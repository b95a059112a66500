//! A feed as simple as can be: the oracle.

use std::collections::BTreeMap;

use feed::Options;
use model::Offset;

use crate::rows::{Cell, KEY_LEN, Row, Rows};

/// What a row of these tests' eight columns counts for, texts aside.
const EACH: usize = 40 + 8 + 8 * 8;

/// A row, its time, and when it changed.
#[derive(Clone)]
struct Held {
    row: Row,
    time: i64,
    order: u64,
}

/// The table by the plainest rules, and what it was at every offset.
pub struct ModelFeed {
    options: Options,
    held: BTreeMap<Row, Held>,
    order: u64,
    pub history: BTreeMap<Offset, Rows>,
}

impl ModelFeed {
    pub fn new(options: Options) -> Self {
        let history = BTreeMap::from([(0, Rows::new())]);
        Self { options, held: BTreeMap::new(), order: 0, history }
    }

    pub fn apply(&mut self, upserts: &[(Row, i64)], deletes: &[Row]) {
        for (row, time) in upserts {
            let key = row[..KEY_LEN].to_vec();
            let order = match self.held.get(&key) {
                Some(held) if held.row == *row => held.order,
                _ => {
                    self.order += 1;
                    self.order
                }
            };
            self.held.insert(key, Held { row: row.clone(), time: *time, order });
        }
        for key in deletes {
            self.held.remove(key);
        }
        while self.options.keep_rows.is_some_and(|keep| self.held.len() as u64 > keep)
            || self.bytes() > self.options.max_bytes
        {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.order).map(|(key, _)| key.clone());
            self.held.remove(&oldest.unwrap());
        }
    }

    /// What the rows count for.
    pub fn bytes(&self) -> u64 {
        let text = |cell: &Cell| if let Cell::Text(text) = cell { text.len() } else { 0 };
        let row = |held: &Held| EACH + held.row.iter().map(text).sum::<usize>();
        self.held.values().map(row).sum::<usize>() as u64
    }

    /// How many rows went.
    pub fn expire(&mut self, now: i64) -> usize {
        let before = self.held.len();
        if let Some(keep) = self.options.keep_ms {
            self.held.retain(|_, held| held.time + keep > now);
        }
        before - self.held.len()
    }

    /// The tick is over: notes what the table is at its offset.
    pub fn close(&mut self, offset: Offset) {
        self.history.insert(offset, self.rows());
    }

    pub fn rows(&self) -> Rows {
        self.held.iter().map(|(key, held)| (key.clone(), held.row.clone())).collect()
    }

    pub fn next_expiry(&self) -> Option<i64> {
        let keep = self.options.keep_ms?;
        self.held.values().map(|held| held.time + keep).min()
    }

    /// The table as of an offset: that of the last tick at or before it.
    pub fn at(&self, offset: Offset) -> Rows {
        self.history.range(..=offset).next_back().map(|(_, rows)| rows.clone()).unwrap_or_default()
    }
}
