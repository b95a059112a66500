//! The feed: what a tick does to the table and to the order of its changes.

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;
use model::{FeedKind, FeedSchema, Offset, RowChanges};

use crate::{
    age::Ages,
    changes::Memo,
    error::ApplyError,
    order::{Chain, List, NONE},
    source::Source,
    state::Written,
    table::Table,
};

/// How many rows are read ahead of being written: what they touch fits a second-level cache.
const APPROACHED: usize = 512;

/// What the time of a row is, and so in which order `keep` removes rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepBy {
    /// A time that belongs to the row, such as its window's end; [`Feed::expire`] is given
    /// the watermark. Times come in any order.
    Time,
    /// The clock at which the row was last upserted, be it with the same values;
    /// [`Feed::expire`] is given the clock. A time that falls counts as the latest before it.
    Clock,
}

/// How much a feed holds.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long after its time a row is deleted, in milliseconds; `None` for never.
    pub keep_ms: Option<i64>,
    /// What a row's time is.
    pub keep_by: KeepBy,
    /// How many rows are held: beyond, those whose last change is oldest are deleted.
    pub keep_rows: Option<u64>,
    /// How many bytes the rows may hold: beyond, those whose last change is oldest are deleted.
    /// They are counted from what the rows hold alone.
    pub max_bytes: u64,
    /// How many bytes the keys of tombstones may hold, and [`Options::max_tombstones`] besides.
    pub max_tombstone_bytes: u64,
    /// How many tombstones are held. Beyond, the oldest are dropped, and cursors from
    /// before them get a snapshot.
    pub max_tombstones: usize,
}

impl Default for Options {
    /// Everything is kept, but for the oldest tombstones beyond 100,000.
    fn default() -> Self {
        Self {
            keep_ms: None,
            keep_by: KeepBy::Time,
            keep_rows: None,
            max_bytes: u64::MAX,
            max_tombstone_bytes: u64::MAX,
            max_tombstones: 100_000,
        }
    }
}

/// Work done since the feed was made, for tests of what it is proportional to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Costs {
    /// Slots that reads looked at.
    pub walked: u64,
    /// Rows and tombstones that were written, moved, deleted or dropped.
    pub touched: u64,
    /// Chunks of 256 rows that were copied because a snapshot held them.
    pub copied: u64,
}

/// A keyed table and the log of its changes. Owned by one thread; readers get
/// immutable [`Changes`](crate::Changes).
///
/// ```
/// use std::sync::Arc;
///
/// use arrow_array::{Int64Array, RecordBatch, StringArray};
/// use feed::{Changes, Feed, Options};
/// use model::{Column, DataType, FeedKind, FeedSchema, RowChanges, Schema};
///
/// let columns = vec![Column::new("host", DataType::Text), Column::new("load", DataType::BigInt)];
/// let schema = FeedSchema { name: "load".into(), schema: Schema::new(columns), key_len: 1, kind: FeedKind::Upsert };
/// let rows = |hosts: Vec<&str>, loads: Vec<i64>| RowChanges {
///     times: vec![0; hosts.len()],
///     upserts: RecordBatch::try_new(
///         schema.schema.to_arrow(),
///         vec![Arc::new(StringArray::from(hosts)), Arc::new(Int64Array::from(loads))],
///     )
///     .unwrap(),
///     deletes: RecordBatch::new_empty(schema.key_arrow()),
/// };
/// let options = Options { max_tombstones: 1000, ..Options::default() };
/// let mut feed = Feed::new(schema.clone(), options);
/// feed.apply(1, &rows(vec!["a", "b"], vec![10, 20]))?;
/// feed.apply(2, &rows(vec!["b"], vec![21]))?;
/// let Changes::Snapshot(all) = feed.changes_since(None) else { unreachable!() };
/// assert_eq!((all.offset, all.len()), (2, 2));
/// let Changes::Delta(delta) = feed.changes_since(Some(1)) else { unreachable!() };
/// assert_eq!((delta.from, delta.to, delta.upserts.num_rows()), (1, 2, 1));
/// # Ok::<(), feed::ApplyError>(())
/// ```
pub struct Feed {
    pub(crate) schema: FeedSchema,
    /// The schemas of upserts and of deletes.
    pub(crate) arrow: SchemaRef,
    pub(crate) key_arrow: SchemaRef,
    pub(crate) options: Options,
    pub(crate) table: Table,
    /// Rows by last change.
    pub(crate) live: List,
    /// Tombstones by last change, apart from the rows so that the oldest is found at once.
    pub(crate) tombs: List,
    pub(crate) live_len: usize,
    pub(crate) ages: Ages,
    pub(crate) offset: Offset,
    pub(crate) last_change: Offset,
    pub(crate) floor: Offset,
    /// How many changes the tick of `offset` has made.
    pub(crate) number: u32,
    pub(crate) memo: Memo,
    pub(crate) written: Written,
    pub(crate) walked: u64,
    touched: u64,
    evicted: u64,
    /// Hashes of a batch's keys, kept for its allocation.
    hashes: Vec<u64>,
}

impl Feed {
    /// An empty feed at offset 0.
    pub fn new(schema: FeedSchema, options: Options) -> Self {
        let ages = match (options.keep_ms, options.keep_by) {
            (None, _) => Ages::Off,
            (Some(_), KeepBy::Time) => Ages::ByTime(BTreeMap::new()),
            (Some(_), KeepBy::Clock) => Ages::ByTouch(List::EMPTY),
        };
        Self {
            arrow: schema.schema.to_arrow(),
            key_arrow: schema.key_arrow(),
            table: Table::new(&schema.schema.columns, schema.key_len),
            schema,
            options,
            live: List::EMPTY,
            tombs: List::EMPTY,
            live_len: 0,
            ages,
            offset: 0,
            last_change: 0,
            floor: 0,
            number: 0,
            memo: Memo::default(),
            written: Written::default(),
            walked: 0,
            touched: 0,
            evicted: 0,
            hashes: Vec::new(),
        }
    }

    /// Applies the changes of the tick `offset`, upserts first. A row equal to the one held
    /// is no change, though its time may move; a delete of a key that is not held is none
    /// either. Afterwards rows beyond `keep_rows` and `max_bytes` are deleted. Costs the rows
    /// of `changes`, and the rows deleted.
    ///
    /// A tick may be applied in several calls as long as nobody has read in between.
    pub fn apply(&mut self, offset: Offset, changes: &RowChanges) -> Result<(), ApplyError> {
        let rows = changes.upserts.num_rows();
        if offset < self.offset {
            return Err(ApplyError::OffsetFell { held: self.offset, given: offset });
        }
        if changes.times.len() != rows {
            return Err(ApplyError::Times { rows, times: changes.times.len() });
        }
        if self.table.len().saturating_add(rows) >= NONE as usize {
            return Err(ApplyError::Full);
        }
        let upserts = Source::of_batch(&self.schema.schema.columns, &changes.upserts)?;
        let deletes = Source::of_batch(self.schema.key(), &changes.deletes)?;
        self.enter(offset);

        let mut hashes = std::mem::take(&mut self.hashes);
        self.table.hash(&upserts[..self.schema.key_len.min(upserts.len())], rows, &mut hashes);
        let mut row = self.first_kept(rows);
        for some in hashes[row..].chunks(APPROACHED) {
            self.table.approach(some);
            for hash in some {
                self.upsert(*hash, &upserts, row, changes.times[row]);
                row += 1;
            }
        }
        self.table.hash(&deletes, changes.deletes.num_rows(), &mut hashes);
        for (row, hash) in hashes.iter().enumerate() {
            if let Some(slot) = self.table.find(*hash, &deletes, row).filter(|s| self.table.is_live(*s)) {
                self.ages.remove(&mut self.table.metas, slot);
                self.delete(slot);
            }
        }
        self.hashes = hashes;

        if let Some(keep) = self.options.keep_rows {
            while self.live_len as u64 > keep {
                let oldest = self.live.head;
                self.ages.remove(&mut self.table.metas, oldest);
                self.delete(oldest);
            }
        }
        while self.table.live_bytes(self.live_len) as u64 > self.options.max_bytes {
            let oldest = self.live.head;
            self.ages.remove(&mut self.table.metas, oldest);
            self.delete(oldest);
            self.evicted += 1;
        }
        self.drop_tombstones();
        Ok(())
    }

    /// Deletes, at the tick `offset`, the rows whose time plus `keep_ms` is `now` or before
    /// (milliseconds). Returns how many. Costs the rows deleted.
    pub fn expire(&mut self, offset: Offset, now: i64) -> usize {
        self.enter(offset);
        let Some(keep) = self.options.keep_ms else { return 0 };
        let mut expired = Vec::new();
        while let Some(slot) = self.ages.pop(&mut self.table.metas, keep, now) {
            expired.push(slot);
        }
        // In the order of their changes: a restored feed knows no other.
        expired.sort_unstable_by_key(|slot| self.table.metas.get(*slot).order());
        for slot in &expired {
            self.delete(*slot);
        }
        self.drop_tombstones();
        expired.len()
    }

    /// A tick passed: cursors may move on to it, though nothing changed.
    pub fn advance(&mut self, offset: Offset) {
        if offset > self.offset {
            self.enter(offset);
        }
    }

    /// It takes the place of another feed at the tick `offset`: whoever has read that one before
    /// gets a snapshot.
    pub fn supersede(&mut self, offset: Offset) {
        self.enter(offset);
        self.floor = self.offset;
        self.last_change = self.offset;
    }

    /// The feed's schema.
    pub fn schema(&self) -> &FeedSchema {
        &self.schema
    }

    /// The last tick seen.
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// The tick of the last change.
    pub fn last_change(&self) -> Offset {
        self.last_change
    }

    /// Cursors before this tick get a snapshot: tombstones that they need were dropped.
    pub fn floor(&self) -> Offset {
        self.floor
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.live_len
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.live_len == 0
    }

    /// How many deleted keys it remembers, for cursors from before their deletion.
    pub fn tombstones(&self) -> usize {
        self.table.len() - self.live_len
    }

    /// When [`Feed::expire`] has something to delete next: the earliest time plus `keep_ms`.
    pub fn next_expiry(&self) -> Option<i64> {
        let keep = self.options.keep_ms?;
        Some(self.ages.first(&self.table.metas)?.saturating_add(keep))
    }

    /// What rows and tombstones count for, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.table.live_bytes(self.live_len) + self.table.tomb_bytes(self.tombstones())
    }

    /// How many rows were deleted because of [`Options::max_bytes`] since the feed was made or
    /// restored.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Work done so far.
    pub fn costs(&self) -> Costs {
        Costs { walked: self.walked, touched: self.touched, copied: self.table.copied }
    }

    /// Begins a tick, or goes on with it. What was read before is no longer held, so that
    /// the memo alone makes no chunk be copied.
    fn enter(&mut self, offset: Offset) {
        self.memo.clear();
        if offset > self.offset {
            self.offset = offset;
            self.number = 0;
        }
    }

    /// The first of a tick's rows worth applying: an append feed would delete the ones
    /// before at once, and remember each, though nobody has seen it.
    fn first_kept(&self, rows: usize) -> usize {
        match (self.schema.kind, self.options.keep_rows) {
            (FeedKind::Append, Some(keep)) => rows.saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX)),
            _ => 0,
        }
    }

    #[inline]
    fn upsert(&mut self, hash: u64, sources: &[Source<'_>], row: usize, time: i64) {
        self.touched += 1;
        let table = &mut self.table;
        let Some(slot) = table.find(hash, sources, row) else {
            let slot = table.insert(hash, sources, row);
            self.ages.add(&mut table.metas, slot, time);
            self.live_len += 1;
            self.changed(slot, true);
            return;
        };
        if !table.is_live(slot) {
            self.tombs.remove(&mut table.metas, Chain::Change, slot);
            table.replace(slot, sources, row);
            self.ages.add(&mut table.metas, slot, time);
            self.live_len += 1;
            self.changed(slot, true);
            return;
        }
        if self.ages.touch(&mut table.metas, slot, time) {
            table.mark(slot);
        }
        if !table.equals(slot, sources, row) {
            table.replace(slot, sources, row);
            self.live.remove(&mut table.metas, Chain::Change, slot);
            self.changed(slot, true);
        }
    }

    /// Makes a tombstone of a live row that is in no list by age any more.
    fn delete(&mut self, slot: u32) {
        self.touched += 1;
        self.table.bury(slot);
        self.live.remove(&mut self.table.metas, Chain::Change, slot);
        self.live_len -= 1;
        self.changed(slot, false);
    }

    /// Puts a slot that stands in neither list by change at the end of the right one.
    #[inline]
    fn changed(&mut self, slot: u32, live: bool) {
        let metas = &mut self.table.metas;
        let meta = metas.get_mut(slot);
        meta.changed = self.offset;
        meta.number = self.number;
        self.number = self.number.saturating_add(1);
        self.last_change = self.offset;
        let list = if live { &mut self.live } else { &mut self.tombs };
        list.push(metas, Chain::Change, slot);
    }

    /// Keeps tombstones within their limit (INV-4).
    fn drop_tombstones(&mut self) {
        let over = |feed: &Self| {
            let (tombstones, options) = (feed.tombstones(), &feed.options);
            tombstones > options.max_tombstones
                || feed.table.tomb_bytes(tombstones) as u64 > options.max_tombstone_bytes
        };
        if !over(self) {
            return;
        }
        while over(self) {
            let oldest = self.tombs.head;
            self.floor = self.floor.max(self.table.metas.get(oldest).changed);
            self.tombs.remove(&mut self.table.metas, Chain::Change, oldest);
            self.table.release(oldest);
            self.touched += 1;
        }
        self.table.shrink();
    }
}
