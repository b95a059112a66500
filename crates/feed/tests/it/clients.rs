//! INV-3: a client that applies the snapshot and then every delta holds the feed's table
//! as of its cursor, however slow, lost or resumed it was, and across restarts.

use std::collections::BTreeMap;

use feed::{Changes, Feed, KeepBy, Options};
use model::{FeedKind, FeedSchema, Offset};
use proptest::{collection::vec, prelude::*};

use crate::{
    model_feed::ModelFeed,
    rows::{Row, Rows, applied, apply_delta, changes, key, row, schema},
};

/// Numbers of keys in play: more than two chunks.
const KEYS: u32 = 700;

/// One tick.
#[derive(Debug, Clone)]
struct Tick {
    /// Number of the first key, how many, variant and how far their time is behind the clock.
    upserts: Vec<(u32, u32, u8, i64)>,
    /// Number of the first key, and how many.
    deletes: Vec<(u32, u32)>,
    /// By how much the clock moves.
    passed: i64,
    expires: bool,
    /// Offsets may be skipped: other feeds had ticks of their own.
    skipped: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Tick(Tick),
    /// A client reads from its own cursor.
    Read(usize),
    /// A client forgets everything.
    Lose(usize),
    /// Somebody comes with a cursor of any age, as a share of 256.
    Resume(u8),
    /// Clients at cursors between take the delta of an older one.
    Share(u8, u8),
    Checkpoint,
    /// The feed is gone, and made again from the last checkpoint and the ticks since.
    Crash,
}

fn tick() -> impl Strategy<Value = Tick> {
    let len = || prop_oneof![8 => 1..4_u32, 1 => 1..400_u32];
    let first = || prop_oneof![6 => 0..25_u32, 1 => 0..KEYS];
    let upserts = vec((first(), len(), 0..12_u8, 0..30_i64), 0..4);
    let deletes = vec((first(), len()), 0..3);
    (upserts, deletes, 0..20_i64, any::<bool>(), prop_oneof![4 => Just(0), 1 => 1..4_u64])
        .prop_map(|(upserts, deletes, passed, expires, skipped)| Tick { upserts, deletes, passed, expires, skipped })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => tick().prop_map(Step::Tick),
        4 => (0..3_usize).prop_map(Step::Read),
        1 => (0..3_usize).prop_map(Step::Lose),
        4 => any::<u8>().prop_map(Step::Resume),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(a, b)| Step::Share(a, b)),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Crash),
    ]
}

fn any_options() -> impl Strategy<Value = Options> {
    (
        proptest::option::of(10..60_i64),
        prop_oneof![Just(KeepBy::Time), Just(KeepBy::Clock)],
        proptest::option::weighted(0.3, 0..40_u64),
        prop_oneof![0..20_usize, 20..500_usize, Just(100_000)],
        prop_oneof![3 => Just(u64::MAX), 1 => 0..40_000_u64],
        prop_oneof![3 => Just(u64::MAX), 1 => 0..10_000_u64],
    )
        .prop_map(|(keep_ms, keep_by, keep_rows, max_tombstones, max_bytes, max_tombstone_bytes)| Options {
            keep_ms,
            keep_by,
            keep_rows,
            max_bytes,
            max_tombstone_bytes,
            max_tombstones,
        })
}

/// What a tick was, so that it can be run again.
type Ran = (Offset, Vec<(Row, i64)>, Vec<Row>, Option<i64>);

fn run(feed: &mut Feed, schema: &FeedSchema, (offset, upserts, deletes, expire): &Ran) -> usize {
    if !upserts.is_empty() || !deletes.is_empty() {
        feed.apply(*offset, &changes(schema, upserts, deletes)).unwrap();
    }
    let expired = expire.map_or(0, |now| feed.expire(*offset, now));
    feed.advance(*offset);
    expired
}

struct World {
    schema: FeedSchema,
    options: Options,
    /// The feed that crashes, and one that never does.
    feed: Feed,
    steady: Feed,
    model: ModelFeed,
    clock: i64,
    clients: [(Option<Offset>, Rows); 3],
    /// Blocks as a store keeps them, and the ticks since.
    store: BTreeMap<Vec<u8>, Vec<u8>>,
    since: Vec<Ran>,
}

impl World {
    fn new(options: Options) -> Self {
        let schema = schema(FeedKind::Upsert);
        Self {
            feed: Feed::new(schema.clone(), options.clone()),
            steady: Feed::new(schema.clone(), options.clone()),
            model: ModelFeed::new(options.clone()),
            schema,
            options,
            clock: 1_000,
            clients: Default::default(),
            store: BTreeMap::new(),
            since: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Tick(tick) => self.tick(tick),
            Step::Read(client) => {
                let (cursor, table) = std::mem::take(&mut self.clients[*client]);
                let (cursor, table) = self.read(cursor, table);
                self.clients[*client] = (Some(cursor), table);
            }
            Step::Lose(client) => self.clients[*client] = Default::default(),
            Step::Resume(share) => {
                // Now and then a cursor from a future that was lost.
                let since = (self.feed.offset() + 3) * u64::from(*share) / 256;
                self.read(Some(since), self.model.at(since));
            }
            Step::Share(a, b) => {
                let [a, b] = [a, b].map(|share| self.feed.offset() * u64::from(*share) / 255);
                if let Changes::Delta(delta) = self.feed.changes_since(Some(a.min(b))) {
                    let mut table = self.model.at(a.max(b));
                    apply_delta(&mut table, &delta);
                    assert_eq!(table, self.model.rows(), "the delta since {} at {}", a.min(b), a.max(b));
                }
            }
            Step::Checkpoint => {
                for block in self.feed.checkpoint() {
                    match block.data {
                        Some(data) => drop(self.store.insert(block.id, data)),
                        None => drop(self.store.remove(&block.id)),
                    }
                }
                self.since.clear();
                assert!(self.feed.checkpoint().is_empty(), "a second checkpoint has nothing to add");
            }
            Step::Crash => {
                let blocks =
                    self.store.iter().map(|(id, data)| model::StateBlock { id: id.clone(), data: Some(data.clone()) });
                let (schema, options) = (self.schema.clone(), self.options.clone());
                self.feed = if self.store.is_empty() {
                    Feed::new(schema, options)
                } else {
                    Feed::restore(schema, options, blocks.collect()).unwrap()
                };
                for ran in &self.since {
                    run(&mut self.feed, &self.schema, ran);
                }
            }
        }
        self.check();
    }

    fn tick(&mut self, tick: &Tick) {
        self.clock += tick.passed;
        let mut upserts = BTreeMap::new();
        for (first, len, variant, behind) in &tick.upserts {
            for number in *first..(first + len).min(KEYS) {
                let time = match self.options.keep_by {
                    KeepBy::Time => self.clock - behind,
                    KeepBy::Clock => self.clock,
                };
                // Not in the order of the keys.
                upserts.insert(number.reverse_bits(), (row(number, *variant), time));
            }
        }
        let mut deletes = BTreeMap::new();
        for (first, len) in &tick.deletes {
            for number in *first..(first + len).min(KEYS) {
                if !upserts.contains_key(&number.reverse_bits()) {
                    deletes.insert(number, key(number));
                }
            }
        }
        let ran = (
            self.feed.offset() + 1 + tick.skipped,
            upserts.into_values().collect::<Vec<_>>(),
            deletes.into_values().collect::<Vec<_>>(),
            tick.expires.then_some(self.clock),
        );
        self.model.apply(&ran.1, &ran.2);
        let expired = ran.3.map_or(0, |now| self.model.expire(now));
        self.model.close(ran.0);
        assert_eq!(run(&mut self.feed, &self.schema, &ran), expired);
        assert_eq!(run(&mut self.steady, &self.schema, &ran), expired);
        self.since.push(ran);
    }

    fn read(&mut self, cursor: Option<Offset>, table: Rows) -> (Offset, Rows) {
        let got = self.feed.changes_since(cursor);
        let resumable = cursor.is_some_and(|c| c >= self.feed.floor() && c <= self.feed.offset());
        match &got {
            Changes::Delta(delta) => assert_eq!((Some(delta.from), resumable), (cursor, true)),
            Changes::Snapshot(_) => assert!(!resumable, "a cursor above the floor was refused"),
        }
        assert_eq!(got.offset(), self.feed.offset());
        let table = applied(table, &got);
        assert_eq!(table, self.model.rows(), "a client that came with {cursor:?}");
        self.same(cursor);
        (got.offset(), table)
    }

    /// The feed that crashed answers as the one that never did, order and all.
    fn same(&mut self, cursor: Option<Offset>) {
        match (self.feed.changes_since(cursor), self.steady.changes_since(cursor)) {
            (Changes::Delta(a), Changes::Delta(b)) => {
                assert_eq!((a.from, a.to, &a.upserts, &a.deletes), (b.from, b.to, &b.upserts, &b.deletes));
            }
            (Changes::Snapshot(a), Changes::Snapshot(b)) => {
                assert_eq!(a.offset, b.offset);
                assert!(a.batches().eq(b.batches()));
            }
            (a, b) => panic!("{a:?} after crashes, {b:?} without"),
        }
    }

    fn check(&mut self) {
        let all = |f: &Feed| {
            (f.offset(), f.last_change(), f.floor(), f.len(), f.tombstones(), f.next_expiry(), f.held_bytes())
        };
        assert_eq!(all(&self.feed), all(&self.steady));
        assert!(self.feed.tombstones() <= self.options.max_tombstones);
        assert_eq!(self.feed.len(), self.model.rows().len());
        let tombstones = self.feed.held_bytes() as u64 - self.model.bytes();
        assert!(tombstones <= self.options.max_tombstone_bytes && self.model.bytes() <= self.options.max_bytes);
        assert_eq!(tombstones == 0, self.feed.tombstones() == 0);
        assert_eq!(self.feed.next_expiry(), self.model.next_expiry());
        let oldest = self.feed.floor();
        self.same(Some(oldest));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_client_holds_the_table_as_of_its_cursor(options in any_options(), steps in vec(step(), 1..60)) {
        let mut world = World::new(options);
        for step in &steps {
            world.step(step);
        }
        for client in 0..3 {
            world.step(&Step::Read(client));
        }
    }
}
