//! The figures of a store arrive at the `metrics` facade.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use firstseen::Store;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// Keeps the last value of everything, by name.
#[derive(Default)]
struct Kept(Mutex<HashMap<String, Arc<AtomicU64>>>);

impl Kept {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        assert_eq!(key.labels().map(metrics::Label::key).collect::<Vec<_>>(), ["store"]);
        let mut cells = self.0.lock().unwrap();
        Arc::clone(cells.entry(key.name().to_owned()).or_default())
    }

    fn value(&self, name: &str) -> u64 {
        let cells = self.0.lock().unwrap();
        cells.get(name).unwrap_or_else(|| panic!("no {name}")).load(Ordering::Relaxed)
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn counters_and_gauges_are_those_of_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.check_and_insert(&["a", "b", "a"]).unwrap();
    let kept = Kept::default();
    let stats = metrics::with_local_recorder(&kept, || store.stats());
    assert_eq!((kept.value("firstseen_new_total"), stats.new), (2, 2));
    assert_eq!(kept.value("firstseen_duplicates_total"), 1);
    assert_eq!(kept.value("firstseen_log_bytes_written_total"), stats.log_bytes_written);
    assert_eq!(f64::from_bits(kept.value("firstseen_ids")), 2.0);
}
