//! `histogram(x, e1, e2, …)`: how many values are between given edges.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue};

use super::{Growing, Input};
use crate::state::block::Reader;

/// Counts: below the first edge, from each edge to the next, and from the last edge on.
#[derive(Debug)]
pub(crate) struct Histogram {
    edges: Arc<[f64]>,
    counts: Box<[u64]>,
}

impl Histogram {
    pub(crate) fn new(edges: Arc<[f64]>) -> Self {
        let counts = vec![0; edges.len() + 1].into();
        Self { edges, counts }
    }

    pub(crate) fn decode(edges: Arc<[f64]>, input: &mut Reader<'_>) -> Option<Self> {
        let mut all = Self::new(edges);
        for count in &mut all.counts {
            *count = input.u64()?;
        }
        Some(all)
    }
}

impl Growing for Histogram {
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.counts)
    }

    fn more(&self, _input: &Input, _row: usize) -> usize {
        0
    }

    fn add(&mut self, input: &Input, row: usize) {
        let number = input.number(row);
        self.counts[self.edges.partition_point(|edge| *edge <= number)] += 1;
    }

    fn value(&self) -> Result<ScalarValue> {
        let counts: Vec<String> = self.counts.iter().map(u64::to_string).collect();
        Ok(ScalarValue::from(format!("[{}]", counts.join(","))))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for count in &self.counts {
            out.extend_from_slice(&count.to_le_bytes());
        }
    }
}
