//! Measurements that nobody made.

use crate::course::Course;
use crate::figures::{Figure, Figures};
use crate::outcome::{Measurement, Outcome};
use crate::peer::Durability;
use crate::plan::Scenario;

pub(crate) const PEERS: [(&str, Durability, f64); 5] = [
    ("firstseen", Durability::Buffered, 100.0),
    ("firstseen-sync", Durability::Sync, 400.0),
    ("bloom+sled", Durability::Delayed, 9_000.0),
    ("redb", Durability::Interval, 8_000.5),
    ("hashbrown", Durability::MemoryOnly, 33.25),
];

/// All peers in one scenario, the slower the smaller the batch.
pub(crate) fn outcome(window: usize, batch: usize, threads: usize) -> Outcome {
    in_scenario(Scenario { window, batch, threads, course: Course::Window })
}

/// All peers, sustained.
pub(crate) fn sustained(window: usize) -> Outcome {
    in_scenario(Scenario { window, batch: 1024, threads: 1, course: Course::Sustained })
}

fn in_scenario(scenario: Scenario) -> Outcome {
    let Scenario { window, batch, .. } = scenario;
    let mut measurements = Vec::new();
    for (peer, durability, ns) in PEERS {
        for (at, workload) in scenario.course.workloads().iter().enumerate() {
            let figure = |ns_per_id| Figure {
                ns_per_id,
                // Of a server, and where the system does not tell.
                cpu_ns_per_id: (peer != "redb").then_some(ns_per_id + 7.25),
                ratio_to_l: 0.00123,
            };
            let ns = (ns + at as f64) * (1.0 + 64.0 / batch as f64).round();
            measurements.push(Measurement {
                peer: peer.to_owned(),
                durability,
                workload: *workload,
                figures: Figures {
                    acknowledged: figure(ns),
                    finished: figure(ns * 2.0),
                    bytes_per_id: (durability != Durability::MemoryOnly).then_some(16.5),
                },
            });
        }
    }
    Outcome { scenario, rounds: 3, lines_per_s: (90_000_000 + window) as f64, measurements }
}

/// Batches and windows, and one that forgets, as a level has them.
pub(crate) fn outcomes() -> Vec<Outcome> {
    let of = [(100, 1, 1), (400, 16, 1), (800, 1024, 1), (800, 1024, 2), (50, 1024, 1)];
    let windows = of.map(|(window, batch, threads)| outcome(window, batch, threads));
    windows.into_iter().chain([sustained(4000)]).collect()
}
