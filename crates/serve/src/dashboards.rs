//! The dashboards: as the configuration says them now, and as those who watch them began.
//!
//! A dashboard that changes gets a new entry. Who watches the old one holds it, and goes on
//! with what it began with until it connects again: plain updates have no message that could
//! say what their fields mean now.

use std::{collections::HashMap, fmt, sync::Arc};

use parking_lot::RwLock;

use crate::{backend::FeedInfo, encode::updates::Updates, metrics::DashboardMetrics};

/// One dashboard, as the server needs it.
pub struct DashboardEntry {
    /// Its place among [`Dashboards`], its own as long as somebody holds it.
    pub slot: usize,
    /// Makes its plain updates.
    pub updates: Updates,
    /// Its counts.
    pub metrics: DashboardMetrics,
    /// Its description, as JSON.
    pub json: String,
    /// Its title.
    pub title: String,
    /// Its name.
    pub name: String,
}

impl fmt::Debug for DashboardEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dashboard {}", self.name)
    }
}

/// All dashboards. Bounded: an entry that is no longer listed is held by a connection.
pub struct Dashboards(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    slots: Vec<Option<Arc<DashboardEntry>>>,
    /// The slots of those that are listed, in the configuration's order.
    listed: Vec<usize>,
    names: HashMap<String, usize>,
    /// How many entries there have been: encodings of one are never taken for another's.
    made: u32,
}

impl Dashboards {
    /// Those of the start.
    pub fn new(dashboards: &[config::Dashboard], feeds: &[FeedInfo]) -> Self {
        let all = Self(RwLock::default());
        all.replace(dashboards, feeds);
        all
    }

    /// Lists these from now on. Those that are as before stay what they are.
    pub fn replace(&self, dashboards: &[config::Dashboard], feeds: &[FeedInfo]) {
        let mut inner = self.0.write();
        let listed: Vec<usize> = dashboards.iter().map(|d| inner.place(d, feeds)).collect();
        inner.names = dashboards.iter().zip(&listed).map(|(d, slot)| (d.name.clone(), *slot)).collect();
        inner.listed = listed;
        inner.free();
    }

    /// The dashboard of this name.
    pub fn get(&self, name: &str) -> Option<Arc<DashboardEntry>> {
        let inner = self.0.read();
        inner.slots[*inner.names.get(name)?].clone()
    }

    /// The dashboard in this slot.
    pub fn at(&self, slot: usize) -> Option<Arc<DashboardEntry>> {
        self.0.read().slots.get(slot)?.clone()
    }

    /// All of them, in the configuration's order.
    pub fn list(&self) -> Vec<Arc<DashboardEntry>> {
        let inner = self.0.read();
        inner.listed.iter().filter_map(|slot| inner.slots[*slot].clone()).collect()
    }
}

impl Inner {
    fn place(&mut self, dashboard: &config::Dashboard, feeds: &[FeedInfo]) -> usize {
        // Text keys and plain values: it cannot fail.
        let json = serde_json::to_string(dashboard).unwrap_or_default();
        if let Some(slot) = self.names.get(&dashboard.name)
            && self.slots[*slot].as_ref().is_some_and(|entry| entry.json == json)
        {
            return *slot;
        }
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(Arc::new(DashboardEntry {
            slot,
            updates: Updates::new(self.made, dashboard, feeds),
            metrics: DashboardMetrics::new(&dashboard.name),
            json,
            title: dashboard.title.clone(),
            name: dashboard.name.clone(),
        }));
        self.made = self.made.wrapping_add(1);
        slot
    }

    /// Forgets what is neither listed nor held. Nobody can begin to hold it meanwhile.
    fn free(&mut self) {
        for (slot, entry) in self.slots.iter_mut().enumerate() {
            if !self.listed.contains(&slot) && entry.as_ref().is_some_and(|held| Arc::strong_count(held) == 1) {
                *entry = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use config::{Dashboard, Place};

    use super::*;

    fn dashboard(name: &str, title: &str) -> Dashboard {
        let place = Place { file: "t.yaml".into(), line: 1, column: 1 };
        Dashboard {
            name: name.to_owned(),
            title: title.to_owned(),
            range: std::time::Duration::from_mins(15),
            place,
            panels: Vec::new(),
        }
    }

    #[test]
    fn who_watches_an_old_one_keeps_it_and_nobody_else_does() {
        let all = Dashboards::new(&[dashboard("a", "1"), dashboard("b", "1")], &[]);
        let (a, b) = (all.get("a").unwrap(), all.get("b").unwrap().slot);
        for title in ["2", "3", "4"] {
            all.replace(&[dashboard("b", "1"), dashboard("a", title)], &[]);
        }
        assert_eq!(all.get("b").unwrap().slot, b, "what did not change is the same");
        assert_eq!(all.get("a").unwrap().title, "4");
        assert_eq!(all.at(a.slot).unwrap().title, "1", "it was watched all the time");
        assert_eq!(all.list().iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let slots = all.0.read().slots.len();
        assert!(slots <= 4, "{slots}: nobody watched those between");
        let old = a.slot;
        drop(a);
        all.replace(&[dashboard("b", "1")], &[]);
        assert!(all.get("a").is_none() && all.at(old).is_none());
    }
}
