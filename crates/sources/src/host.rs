//! The vitals of the machine that this runs on, by the crate `sysinfo`: one event for each
//! number, with what it is (`metric`) and of what (`name`).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow_schema::SchemaRef;
use config::{HostSource, StreamColumn};
use sysinfo::{
    DiskRefreshKind, Disks, MemoryRefreshKind, Networks, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind,
};

use crate::{Sampled, decode::stream_column};

/// Reads the vitals of this machine.
pub struct Host {
    every: Duration,
    listing: Option<Listing>,
    /// What was told last, metric and name.
    told: HashSet<(&'static str, String)>,
    name: String,
    schema: SchemaRef,
    /// What each column of the stream gets.
    fields: Vec<String>,
    system: System,
    disks: Disks,
    networks: Networks,
    /// When they were read last: traffic is told by the second.
    read: Instant,
}

/// The list of processes.
struct Listing {
    every: Duration,
    top: usize,
    last: Option<Instant>,
}

/// The events of one sample, column by column.
#[derive(Default)]
struct Vitals {
    metrics: Vec<&'static str>,
    names: Vec<String>,
    values: Vec<Option<f64>>,
}

impl Vitals {
    fn tell(&mut self, metric: &'static str, name: impl Into<String>, value: f64) {
        // What the system cannot tell is left out.
        if value.is_finite() {
            self.push(metric, name.into(), Some(value));
        }
    }

    fn push(&mut self, metric: &'static str, name: String, value: Option<f64>) {
        self.metrics.push(metric);
        self.names.push(name);
        self.values.push(value);
    }
}

impl Host {
    /// For the columns of a stream. `event_time` names the one of its time, which is never null.
    ///
    /// # Errors
    ///
    /// If the system tells nothing of its processors, disks or networks.
    pub fn new(
        source: &HostSource,
        columns: &[StreamColumn],
        event_time: Option<&str>,
    ) -> Result<Self, sysinfo::Error> {
        let schema = model::Schema::new(columns.iter().map(|c| stream_column(c, event_time)).collect());
        let mut system = System::new()?;
        // Loads are told between two readings: this is the first.
        system.refresh_cpu_usage();
        let disks =
            Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage().with_io_usage())?;
        Ok(Self {
            every: source.every,
            listing: source.processes.map(|every| Listing { every, top: source.top, last: None }),
            told: HashSet::new(),
            name: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
            schema: schema.to_arrow(),
            fields: columns.iter().map(|column| column.from.clone()).collect(),
            system,
            disks,
            networks: Networks::new_with_refreshed_list()?,
            read: Instant::now(),
        })
    }

    fn vitals(&mut self) -> Vitals {
        let seconds = self.read.elapsed().as_secs_f64().max(0.001);
        self.read = Instant::now();
        let mut vitals = Vitals::default();
        self.processors(&mut vitals);
        self.memory(&mut vitals);
        self.storage(&mut vitals, seconds);
        self.networks.refresh(true);
        for (name, traffic) in &self.networks {
            let name = name.to_string_lossy();
            vitals.tell("net_in", &*name, traffic.received() as f64 / seconds);
            vitals.tell("net_out", &*name, traffic.transmitted() as f64 / seconds);
        }
        if let Ok(uptime) = System::uptime() {
            vitals.tell("uptime", "all", uptime as f64);
        }
        let listed = self.processes(&mut vitals);
        self.tell_of_gone(&mut vitals, listed);
        vitals
    }

    fn processors(&mut self, vitals: &mut Vitals) {
        self.system.refresh_cpu_usage();
        vitals.tell("cpu", "all", self.system.global_cpu_usage().into());
        for (number, cpu) in self.system.cpus().iter().enumerate() {
            vitals.tell("cpu", number.to_string(), cpu.usage().into());
        }
        if let Ok(load) = System::load_average() {
            vitals.tell("load", "1m", load.one);
            vitals.tell("load", "5m", load.five);
            vitals.tell("load", "15m", load.fifteen);
        }
    }

    fn memory(&mut self, vitals: &mut Vitals) {
        self.system.refresh_memory_specifics(MemoryRefreshKind::everything());
        let (used, total) = (self.system.used_memory() as f64, self.system.total_memory() as f64);
        vitals.tell("memory", "used", used);
        vitals.tell("memory", "available", self.system.available_memory() as f64);
        vitals.tell("memory", "total", total);
        vitals.tell("memory", "swap", self.system.used_swap() as f64);
        vitals.tell("memory_percent", "used", 100.0 * used / total);
        vitals.tell("memory_percent", "swap", 100.0 * self.system.used_swap() as f64 / self.system.total_swap() as f64);
    }

    fn storage(&mut self, vitals: &mut Vitals, seconds: f64) {
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage().with_io_usage());
        // A disk may be mounted at many places; its traffic is told once.
        let mut told = HashSet::new();
        for disk in &self.disks {
            let place = disk.mount_point().to_string_lossy();
            let used = disk.total_space().saturating_sub(disk.available_space()) as f64;
            vitals.tell("disk", &*place, used);
            vitals.tell("disk_percent", &*place, 100.0 * used / disk.total_space() as f64);
            if told.insert(disk.name()) {
                vitals.tell("disk_read", &*place, disk.usage().read_bytes as f64 / seconds);
                vitals.tell("disk_write", &*place, disk.usage().written_bytes as f64 / seconds);
            }
        }
    }

    /// Whether they were listed.
    fn processes(&mut self, vitals: &mut Vitals) -> bool {
        let Some(listing) = &mut self.listing else { return false };
        if listing.last.is_some_and(|last| last.elapsed() < listing.every) {
            return false;
        }
        let first = listing.last.is_none();
        listing.last = Some(Instant::now());
        // Names do not change; what they do is told between two listings.
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().with_exe(UpdateKind::Never).without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        vitals.tell("processes", "all", self.system.processes().len() as f64);
        if first {
            return true;
        }
        let mut all: Vec<_> = self.system.processes().iter().collect();
        all.sort_by(|(a, x), (b, y)| {
            y.cpu_usage().total_cmp(&x.cpu_usage()).then(y.memory().cmp(&x.memory())).then(a.cmp(b))
        });
        for (pid, process) in all.into_iter().take(listing.top) {
            let name = format!("{} ({pid})", process.name().to_string_lossy());
            vitals.tell("process_cpu", name.clone(), process.cpu_usage().into());
            vitals.tell("process_memory", name, process.memory() as f64);
        }
        true
    }

    /// Tells once of what is told no longer: a process that is not among the busiest, a disk or an
    /// interface that is gone. Processes are not listed each time.
    fn tell_of_gone(&mut self, vitals: &mut Vitals, listed: bool) {
        let now: HashSet<_> = vitals.metrics.iter().copied().zip(vitals.names.iter().cloned()).collect();
        let (gone, kept): (Vec<_>, Vec<_>) = self
            .told
            .drain()
            .filter(|known| !now.contains(known))
            .partition(|(metric, _)| listed || !metric.starts_with("process"));
        for (metric, name) in gone {
            vitals.push(metric, name, None);
        }
        self.told = now.into_iter().chain(kept).collect();
    }
}

impl Sampled for Host {
    fn every(&self) -> Duration {
        self.every
    }

    fn sample(&mut self, now_ms: i64) -> Option<RecordBatch> {
        let vitals = self.vitals();
        let rows = vitals.values.len();
        let column = |field: &String| -> ArrayRef {
            match field.as_str() {
                "host" => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.name, rows))),
                "metric" => Arc::new(StringArray::from_iter_values(&vitals.metrics)),
                "name" => Arc::new(StringArray::from_iter_values(&vitals.names)),
                "value" => Arc::new(Float64Array::from(vitals.values.clone())),
                // The configuration lets no other field through.
                _ => Arc::new(TimestampMillisecondArray::from_value(now_ms, rows)),
            }
        };
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.fields.iter().map(column).collect());
        match batch {
            Ok(batch) => Some(batch),
            Err(error) => {
                // `value: { not_null: true }` has no room for a process that is gone.
                tracing::warn!("a reading of this machine does not fit the stream's schema: {error}");
                None
            }
        }
    }
}
