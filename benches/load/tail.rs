//! The tail of many times.

use std::time::Duration;

use serde_json::{Value, json};

/// Times of calls, all of them kept: a billion ids in batches of 1024 are four megabytes.
#[derive(Debug, Default)]
pub struct Tail(Vec<u32>);

impl Tail {
    pub fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Adds the times of another.
    pub fn append(&mut self, mut other: Tail) {
        self.0.append(&mut other.0);
    }

    /// All of them together.
    pub fn total(&self) -> Duration {
        self.0.iter().map(|&ns| Duration::from_nanos(u64::from(ns))).sum()
    }

    /// Percentiles in microseconds.
    pub fn report(mut self) -> Value {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let at = |share: f64| {
            let ns = self.0.get((last as f64 * share) as usize).copied().unwrap_or_default();
            f64::from(ns) / 1e3
        };
        json!({
            "p50_us": at(0.5),
            "p90_us": at(0.9),
            "p99_us": at(0.99),
            "p999_us": at(0.999),
            "p9999_us": at(0.9999),
            "max_us": at(1.0),
        })
    }
}
