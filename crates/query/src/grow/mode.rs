//! The value that is most often there.

use std::cmp::Reverse;

use datafusion::{
    arrow::datatypes::DataType,
    common::{Result, ScalarValue},
};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{Growing, Input, Kind, read::Item};
use crate::state::block::Reader;

/// How often each value of a group is there. Of those that are there equally often the
/// smallest is the mode, so the order of events does not matter.
#[derive(Debug)]
pub(crate) struct Mode {
    counts: HashMap<Item, u64, FixedState>,
    bytes: usize,
    most: Option<(Item, u64)>,
    kind: Kind,
    of: DataType,
}

impl Mode {
    pub(crate) fn new(kind: Kind, of: DataType) -> Self {
        let counts = HashMap::with_hasher(FixedState::with_seed(0));
        Self { counts, bytes: size_of::<Self>(), most: None, kind, of }
    }

    pub(crate) fn decode(kind: Kind, of: DataType, input: &mut Reader<'_>) -> Option<Self> {
        let mut all = Self::new(kind, of);
        for _ in 0..input.u32()? {
            let item = Item::decode(kind, input)?;
            let count = input.u64().filter(|count| *count > 0)?;
            all.bytes += Item::bytes(item.as_ref(), size_of::<u64>());
            if all.counts.insert(item, count).is_some() {
                return None;
            }
        }
        let most = all.counts.iter().max_by_key(|(item, count)| (**count, Reverse(*item)));
        all.most = most.map(|(item, count)| (item.clone(), *count));
        Some(all)
    }
}

impl Growing for Mode {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn more(&self, input: &Input, row: usize) -> usize {
        let item = input.item(row);
        if self.counts.contains_key(&item) { 0 } else { Item::bytes(item, size_of::<u64>()) }
    }

    fn add(&mut self, input: &Input, row: usize) {
        let item = input.item(row);
        let count = match self.counts.get_mut(&item) {
            Some(count) => {
                *count += 1;
                *count
            }
            None => {
                self.bytes += Item::bytes(item, size_of::<u64>());
                self.counts.insert(item.owned(), 1);
                1
            }
        };
        // Counts only grow, so nothing but this value can take the place.
        let wins =
            self.most.as_ref().is_none_or(|(most, times)| count > *times || count == *times && item.owned() < *most);
        if wins {
            self.most = Some((item.owned(), count));
        }
    }

    fn value(&self) -> Result<ScalarValue> {
        match &self.most {
            None => ScalarValue::try_from(&self.of),
            Some((Item::Bits(bits), _)) => self.kind.scalar(*bits).cast_to(&self.of),
            Some((Item::Text(text), _)) => ScalarValue::from(&**text).cast_to(&self.of),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.counts.len() as u32).to_le_bytes());
        for (item, count) in &self.counts {
            item.encode(out);
            out.extend_from_slice(&count.to_le_bytes());
        }
    }
}
