//! Figures, and the medians of them.

use crate::session::Timing;
use crate::stopwatch::Spent;

/// A rate.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) ns_per_id: f64,
    /// Of the processors, all threads counted. NaN where the system does not tell.
    pub(crate) cpu_ns_per_id: f64,
    /// Ids a second, over the lines a second of the same round.
    pub(crate) ratio_to_l: f64,
}

/// What one workload gave.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Until the calls had returned.
    pub(crate) acknowledged: Figure,
    /// Until postponed work was done too.
    pub(crate) finished: Figure,
    /// On disk; 0 if nothing is.
    pub(crate) bytes_per_id: f64,
}

impl Figure {
    fn new(spent: Spent, ids: usize, line_ns: f64) -> Figure {
        let ns_per_id = spent.wall.as_nanos() as f64 / ids as f64;
        let cpu_ns = spent.processors.map_or(f64::NAN, |spent| spent.as_nanos() as f64);
        let cpu_ns_per_id = cpu_ns / ids as f64;
        Figure { ns_per_id, cpu_ns_per_id, ratio_to_l: line_ns / ns_per_id }
    }

    fn median(of: impl Iterator<Item = Figure> + Clone) -> Figure {
        Figure {
            ns_per_id: median(of.clone().map(|figure| figure.ns_per_id)),
            cpu_ns_per_id: median(of.clone().map(|figure| figure.cpu_ns_per_id)),
            ratio_to_l: median(of.map(|figure| figure.ratio_to_l)),
        }
    }
}

impl Figures {
    pub(crate) fn new(timing: &Timing, ids: usize, line_ns: f64) -> Figures {
        Figures {
            acknowledged: Figure::new(timing.acknowledged, ids, line_ns),
            finished: Figure::new(timing.finished, ids, line_ns),
            bytes_per_id: timing.bytes_per_id,
        }
    }

    /// Each value's own median.
    pub(crate) fn median(of: &[Figures]) -> Figures {
        Figures {
            acknowledged: Figure::median(of.iter().map(|figures| figures.acknowledged)),
            finished: Figure::median(of.iter().map(|figures| figures.finished)),
            bytes_per_id: median(of.iter().map(|figures| figures.bytes_per_id)),
        }
    }
}

/// The middle one; of an even number the upper of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
