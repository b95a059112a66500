//! A feed as a table that is read once.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef, error::ArrowError},
    catalog::{TableProvider, streaming::StreamingTable},
    common::{DataFusionError, Result},
    execution::TaskContext,
    physical_plan::{SendableRecordBatchStream, stream::RecordBatchStreamAdapter, streaming::PartitionStream},
};
use futures_util::stream;

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// The rows of a feed, once they are known.
pub(super) struct Rows {
    schema: SchemaRef,
    batches: Mutex<Option<Batches>>,
}

impl Rows {
    pub(super) fn new(schema: SchemaRef) -> Arc<Self> {
        Arc::new(Self { schema, batches: Mutex::new(None) })
    }

    /// As a table to plan over.
    pub(super) fn table(self: &Arc<Self>) -> Result<Arc<dyn TableProvider>> {
        let partition: Arc<dyn PartitionStream> = Arc::new(Partition(Arc::clone(self)));
        Ok(Arc::new(StreamingTable::try_new(Arc::clone(&self.schema), vec![partition])?))
    }

    /// Sets what is read.
    pub(super) fn fill(&self, batches: Batches) {
        *self.batches.lock().unwrap_or_else(PoisonError::into_inner) = Some(batches);
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}

#[derive(Debug)]
struct Partition(Arc<Rows>);

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.0.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self.0.batches.lock().unwrap_or_else(PoisonError::into_inner).take();
        let batches: Batches = batches.unwrap_or_else(|| {
            // The plan scans once, so this is a fault of ours, and no empty feed.
            Box::new(std::iter::once(Err(ArrowError::ComputeError("the rows were read before".to_owned()))))
        });
        let batches = batches.map(|batch| batch.map_err(DataFusionError::from));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.0.schema), stream::iter(batches)))
    }
}
