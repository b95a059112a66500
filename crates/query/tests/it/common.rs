//! A stream of every type, a feed as its watchers see it, and short ways to run ticks.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{
            Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
            TimestampMillisecondArray,
        },
        util::display::array_value_to_string,
    },
    scalar::ScalarValue,
};
use model::{Column, DataType, RowChanges, Schema, StateBlock};
use query::{Emit, FeedDef, Output, Plan, Query, QueryError, StreamDef, Tick};

/// An event of the stream `events`.
#[derive(Debug, Clone, Default)]
pub struct Event {
    pub ts: i64,
    pub k: Option<String>,
    pub h: String,
    pub b: Option<i64>,
    pub i: Option<i32>,
    pub v: Option<f64>,
    pub f: Option<bool>,
    pub u: Option<i64>,
    pub j: Option<String>,
}

/// An event with a key, a number and a time.
pub fn event(ts: i64, k: &str, b: i64) -> Event {
    Event { ts, k: Some(k.to_owned()), h: k.to_owned(), b: Some(b), i: Some(b as i32), ..Event::default() }
}

pub fn schema() -> Schema {
    Schema::new(vec![
        Column::new("ts", DataType::Timestamp).not_null(),
        Column::new("k", DataType::Text),
        Column::new("h", DataType::Text).not_null(),
        Column::new("b", DataType::BigInt),
        Column::new("i", DataType::Int),
        Column::new("v", DataType::Double),
        Column::new("f", DataType::Boolean),
        Column::new("u", DataType::Timestamp),
        Column::new("j", DataType::Json),
        Column::new("mixedCase", DataType::BigInt),
    ])
}

pub fn streams() -> Vec<StreamDef> {
    vec![
        StreamDef { name: "events".to_owned(), schema: schema(), event_time: Some("ts".to_owned()) },
        StreamDef {
            name: "raw".to_owned(),
            schema: Schema::new(vec![Column::new("at", DataType::Timestamp), Column::new("window_end", DataType::Int)]),
            event_time: None,
        },
    ]
}

pub fn batch(events: &[Event]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(events.iter().map(|e| Some(e.ts)).collect::<TimestampMillisecondArray>()),
        Arc::new(events.iter().map(|e| e.k.clone()).collect::<StringArray>()),
        Arc::new(events.iter().map(|e| Some(e.h.clone())).collect::<StringArray>()),
        Arc::new(events.iter().map(|e| e.b).collect::<Int64Array>()),
        Arc::new(events.iter().map(|e| e.i).collect::<Int32Array>()),
        Arc::new(events.iter().map(|e| e.v).collect::<Float64Array>()),
        Arc::new(events.iter().map(|e| e.f).collect::<BooleanArray>()),
        Arc::new(events.iter().map(|e| e.u).collect::<TimestampMillisecondArray>()),
        Arc::new(events.iter().map(|e| e.j.clone()).collect::<StringArray>()),
        Arc::new(events.iter().map(|e| e.b).collect::<Int64Array>()),
    ];
    RecordBatch::try_new(schema().to_arrow(), columns).unwrap()
}

pub fn feed(sql: &str) -> FeedDef {
    FeedDef {
        name: "feed".to_owned(),
        sql: sql.to_owned(),
        key: None,
        delete_when: None,
        emit: Emit::Changes,
        refresh_ms: 0,
        max_groups: 1_000_000,
        max_group_state: 1 << 20,
        max_memory: 1 << 30,
        idle_ttl_ms: 86_400_000,
    }
}

/// Names of key columns.
pub fn key(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

pub fn plan(feed: &FeedDef) -> Plan {
    query::plan(&streams(), feed).unwrap_or_else(|errors| panic!("{}: {errors:?}", feed.sql))
}

pub fn refused(feed: &FeedDef) -> Vec<QueryError> {
    match query::plan(&streams(), feed) {
        Err(errors) => errors,
        Ok(_) => panic!("{} was planned", feed.sql),
    }
}

/// The feed's rows by key, with what `keep` counts from.
pub type Table = BTreeMap<Vec<String>, (Vec<ScalarValue>, i64)>;

pub fn row(batch: &RecordBatch, row: usize) -> Vec<ScalarValue> {
    batch.columns().iter().map(|c| ScalarValue::try_from_array(c, row).unwrap()).collect()
}

pub fn key_of(batch: &RecordBatch, row: usize, len: usize) -> Vec<String> {
    batch.columns()[..len]
        .iter()
        .map(|c| if c.is_null(row) { "NULL".to_owned() } else { array_value_to_string(c, row).unwrap() })
        .collect()
}

/// Applies changes as a feed does, and holds them to what `RowChanges` promises.
pub fn apply(plan: &Plan, changes: &RowChanges, table: &mut Table) {
    let output = plan.output();
    assert_eq!(changes.upserts.schema(), output.schema.to_arrow());
    assert_eq!(changes.deletes.schema(), output.key_arrow());
    assert_eq!(changes.upserts.num_rows(), changes.times.len());
    let mut keys = std::collections::BTreeSet::new();
    for at in 0..changes.deletes.num_rows() {
        let key = key_of(&changes.deletes, at, output.key_len);
        assert!(keys.insert(key.clone()), "{key:?} stands twice in one tick");
        table.remove(&key);
    }
    for at in 0..changes.upserts.num_rows() {
        let key = key_of(&changes.upserts, at, output.key_len);
        assert!(keys.insert(key.clone()), "{key:?} stands twice in one tick");
        table.insert(key, (row(&changes.upserts, at), changes.times[at]));
    }
}

/// A query with its feed, driven by hand.
pub struct Driver {
    pub plan: Plan,
    pub query: Query,
    pub table: Table,
    pub blocks: BTreeMap<Vec<u8>, Vec<u8>>,
    number: u64,
    watermark: i64,
}

impl Driver {
    pub fn new(feed: &FeedDef) -> Self {
        let plan = plan(feed);
        let query = plan.start();
        Self { plan, query, table: Table::new(), blocks: BTreeMap::new(), number: 0, watermark: i64::MIN }
    }

    /// One tick at `clock` that ends with the watermark at `watermark`.
    pub fn tick(&mut self, clock: i64, events: &[Event], watermark: i64) -> Output {
        let batch = (!events.is_empty()).then(|| batch(events));
        self.tick_batch(clock, batch.as_ref(), watermark)
    }

    pub fn tick_batch(&mut self, clock: i64, batch: Option<&RecordBatch>, watermark: i64) -> Output {
        self.number += 1;
        let before = self.watermark;
        self.watermark = before.max(watermark);
        let tick = Tick {
            number: self.number,
            clock,
            batch,
            watermark_before: before,
            watermark: self.watermark,
            letters: 100_000,
        };
        let output = self.query.tick(&tick);
        if let Some(changes) = &output.changes {
            assert!(!changes.is_empty(), "changes that change nothing");
            apply(&self.plan, changes, &mut self.table);
        }
        output
    }

    pub fn checkpoint(&mut self) -> Vec<StateBlock> {
        let blocks = self.query.checkpoint();
        for block in &blocks {
            match &block.data {
                Some(data) => self.blocks.insert(block.id.clone(), data.clone()),
                None => self.blocks.remove(&block.id),
            };
        }
        blocks
    }

    pub fn restored(&self) -> Query {
        let blocks = self.blocks.iter().map(|(id, data)| StateBlock { id: id.clone(), data: Some(data.clone()) });
        self.plan.restore(blocks.collect()).unwrap()
    }

    /// The table as text, a line for each row, columns separated by spaces.
    pub fn rows(&self) -> Vec<String> {
        let line = |(row, _): &(Vec<ScalarValue>, i64)| row.iter().map(show).collect::<Vec<_>>().join(" ");
        self.table.values().map(line).collect()
    }
}

fn show(value: &ScalarValue) -> String {
    match value {
        ScalarValue::TimestampMillisecond(Some(ms), _) => ms.to_string(),
        other => other.to_string(),
    }
}
