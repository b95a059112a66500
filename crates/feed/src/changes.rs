//! The read operation.

use std::sync::Arc;

use model::Offset;

use crate::{
    chunk::Field,
    feed::Feed,
    gather::{MAX_TEXT, gather, text_bytes},
    order::{Chain, NONE},
    read::{Changes, Delta, Snapshot},
};

/// How many deltas are remembered at one offset: readers that are up to date ask for one,
/// and laggards are rounded to a few.
const DELTAS: usize = 8;

/// What was read at the present offset, so that readers share it and its encodings (INV-7).
#[derive(Default)]
pub(crate) struct Memo {
    snapshot: Option<Arc<Snapshot>>,
    /// The oldest first.
    deltas: Vec<Arc<Delta>>,
}

impl Memo {
    pub(crate) fn clear(&mut self) {
        self.snapshot = None;
        self.deltas.clear();
    }
}

impl Feed {
    /// The one read operation: what a client that stands behind the tick `since` needs to
    /// have the table as of [`Feed::offset`].
    ///
    /// A snapshot if there is no `since`, or if it is older than [`Feed::floor`] or newer
    /// than the feed. (Also if what changed holds more than 1 GiB of text, which no
    /// delta can carry.) Else a delta, whose cost is what changed. Asked again at the same
    /// offset it gives the same `Arc`.
    pub fn changes_since(&mut self, since: Option<Offset>) -> Changes {
        let since = since.filter(|since| (self.floor..=self.offset).contains(since));
        match since.and_then(|since| self.delta(since)) {
            Some(delta) => Changes::Delta(delta),
            None => Changes::Snapshot(self.snapshot()),
        }
    }

    fn snapshot(&mut self) -> Arc<Snapshot> {
        let make = || {
            let (fields, chunks) = (self.table.fields.clone(), self.table.chunks.clone());
            Arc::new(Snapshot::new(self.offset, self.arrow.clone(), fields, chunks, self.live_len))
        };
        self.memo.snapshot.get_or_insert_with(make).clone()
    }

    fn delta(&mut self, since: Offset) -> Option<Arc<Delta>> {
        if let Some(delta) = self.memo.deltas.iter().find(|d| d.from == since) {
            return Some(delta.clone());
        }
        let fields = &self.table.fields;
        let key = &fields[..self.schema.key_len];
        let upserts = self.walk(self.live.tail, since, fields);
        let deletes = self.walk(self.tombs.tail, since, key);
        self.walked += (upserts.slots.len() + deletes.slots.len()) as u64;
        if upserts.text > MAX_TEXT || deletes.text > MAX_TEXT {
            return None;
        }
        let delta = Arc::new(Delta::new(
            since,
            self.offset,
            gather(&self.table.chunks, &upserts.slots, fields, &self.arrow),
            gather(&self.table.chunks, &deletes.slots, key, &self.key_arrow),
        ));
        if self.memo.deltas.len() == DELTAS {
            self.memo.deltas.remove(0);
        }
        self.memo.deltas.push(delta.clone());
        Some(delta)
    }

    /// The slots of a list that changed after `since`, by last change.
    fn walk(&self, tail: u32, since: Offset, fields: &[Field]) -> Walk {
        let mut walk = Walk { slots: Vec::new(), text: 0 };
        let metas = &self.table.metas;
        let mut slot = tail;
        while slot != NONE && metas.get(slot).changed > since {
            walk.slots.push(slot);
            walk.text += text_bytes(&self.table.chunks, slot, fields);
            slot = metas.prev(Chain::Change, slot);
        }
        walk.slots.reverse();
        walk
    }
}

/// What a delta will hold.
struct Walk {
    slots: Vec<u32>,
    /// Bytes of text in them.
    text: usize,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
    use model::{Column, DataType, FeedKind, FeedSchema, RowChanges, Schema};

    use super::*;
    use crate::feed::Options;

    #[test]
    fn more_text_than_a_batch_can_carry_comes_in_several() {
        let columns = vec![Column::new("k", DataType::BigInt), Column::new("text", DataType::Text)];
        let (schema, kind) = (Schema::new(columns), FeedKind::Upsert);
        let schema = FeedSchema { name: "f".to_owned(), schema, key_len: 1, kind };
        let options = Options { max_tombstones: 10, ..Options::default() };
        let mut feed = Feed::new(schema.clone(), options);
        // One larger than the limit alone, and ten that exceed it together.
        let texts: Vec<String> = (0..11).map(|i| "x".repeat(if i == 4 { MAX_TEXT + 1 } else { 1000 })).collect();
        for (offset, texts) in (1..).zip([&texts[..], &texts[..3]]) {
            let keys = Int64Array::from_iter_values(0..texts.len() as i64);
            let texts = StringArray::from_iter_values(texts.iter().map(|t| format!("{t}{offset}")));
            let changes = RowChanges {
                times: vec![0; texts.len()],
                upserts: RecordBatch::try_new(schema.schema.to_arrow(), vec![Arc::new(keys), Arc::new(texts)]).unwrap(),
                deletes: RecordBatch::new_empty(schema.key_arrow()),
            };
            feed.apply(offset, &changes).unwrap();
        }
        let Changes::Snapshot(snapshot) = feed.changes_since(Some(0)) else { panic!("a delta of it all") };
        assert_eq!(snapshot.batches().map(|b| b.num_rows()).collect::<Vec<_>>(), [4, 1, 4, 2]);
        assert!(matches!(feed.changes_since(Some(1)), Changes::Delta(_)));
    }
}
