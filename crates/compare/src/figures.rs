//! Figures, and the medians of them.

use std::time::Duration;

use crate::session::Timing;
use crate::stopwatch::Spent;

/// A rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) ns_per_id: f64,
    /// Of the processors, all threads counted. `None` where the system does not tell.
    pub(crate) cpu_ns_per_id: Option<f64>,
    /// Ids a second, over the lines a second of the same round.
    pub(crate) ratio_to_l: f64,
}

/// What one workload gave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// Until the calls had returned.
    pub(crate) acknowledged: Figure,
    /// Until postponed work was done too.
    pub(crate) finished: Figure,
    /// On disk; `None` if nothing is.
    pub(crate) bytes_per_id: Option<f64>,
}

impl Figure {
    fn new(spent: Spent, ids: usize, line_ns: f64) -> Figure {
        let each = |time: Duration| time.as_nanos() as f64 / ids as f64;
        let ns_per_id = each(spent.wall);
        let cpu_ns_per_id = spent.processors.map(each);
        Figure { ns_per_id, cpu_ns_per_id, ratio_to_l: line_ns / ns_per_id }
    }

    fn median(of: impl Iterator<Item = Figure> + Clone) -> Figure {
        Figure {
            ns_per_id: rounded(median(of.clone().map(|figure| figure.ns_per_id)), 2),
            cpu_ns_per_id: all(of.clone().map(|figure| figure.cpu_ns_per_id), 2),
            ratio_to_l: rounded(median(of.map(|figure| figure.ratio_to_l)), 5),
        }
    }

    pub(crate) fn ids_per_s(&self) -> f64 {
        1e9 / self.ns_per_id
    }
}

impl Figures {
    pub(crate) fn new(timing: &Timing, ids: usize, line_ns: f64) -> Figures {
        Figures {
            acknowledged: Figure::new(timing.acknowledged, ids, line_ns),
            finished: Figure::new(timing.finished, ids, line_ns),
            bytes_per_id: (timing.bytes_per_id > 0.0).then_some(timing.bytes_per_id),
        }
    }

    /// Each value's own median, to as many digits as are written down: what is read back is the same.
    pub(crate) fn median(of: &[Figures]) -> Figures {
        Figures {
            acknowledged: Figure::median(of.iter().map(|figures| figures.acknowledged)),
            finished: Figure::median(of.iter().map(|figures| figures.finished)),
            bytes_per_id: all(of.iter().map(|figures| figures.bytes_per_id), 1),
        }
    }
}

/// The median of values that are all there.
fn all(values: impl Iterator<Item = Option<f64>>, digits: i32) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    values.map(|values| rounded(median(values.into_iter()), digits))
}

pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

/// The middle one; of an even number the upper of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
