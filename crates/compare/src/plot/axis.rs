//! What an axis shows: where a value stands on it, and where its marks are.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use super::words::plain;

/// Both kinds are linear to plotters: it is given logarithms.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Log,
}

type Label = fn(f64) -> String;

pub(super) struct Axis {
    /// With the unit.
    pub(super) title: String,
    scale: Scale,
    range: (f64, f64),
    /// Values with a label, and values with a thin line only.
    marks: Vec<f64>,
    thin: Vec<f64>,
    label: Box<dyn Fn(f64) -> String>,
}

impl Axis {
    /// Logarithmic, from a little below the values to a little above.
    pub(super) fn log(title: &str, values: impl Iterator<Item = f64>, label: Label) -> Axis {
        let (low, high) = bounds(values.map(f64::log10));
        let room = ((high - low) * 0.05).max(0.1);
        Axis::decades(title, (low - room, high + room), label)
    }

    /// Logarithmic, from the power of ten below the values: where bars begin.
    pub(super) fn log_bars(title: &str, values: impl Iterator<Item = f64>, label: Label) -> Axis {
        let (low, high) = bounds(values.map(f64::log10));
        Axis::decades(title, ((low - 0.05).floor(), high + 0.1), label)
    }

    fn decades(title: &str, range: (f64, f64), label: Label) -> Axis {
        let decades = (range.0.floor() as i32)..=(range.1.floor() as i32);
        let times = |factors: &[f64]| -> Vec<f64> {
            decades.clone().flat_map(|n| factors.iter().map(move |f| f * 10_f64.powi(n))).collect()
        };
        let inside = |value: &&f64| (range.0..=range.1).contains(&value.log10());
        let mut marks = times(&[1.0]);
        if marks.iter().filter(inside).count() < 3 {
            marks = times(&[1.0, 2.0, 5.0]);
        }
        let thin = times(&[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        let (title, label) = (title.to_owned(), Box::new(label));
        Axis { title, scale: Scale::Log, range, marks, thin, label }
    }

    /// From zero.
    pub(super) fn linear(title: &str, values: impl Iterator<Item = f64>) -> Axis {
        let (_, high) = bounds(values);
        let step = step(high);
        let count = (high * 1.08 / step).ceil();
        let marks = (0..=count as usize).map(|n| n as f64 * step).collect();
        let (range, label) = ((0.0, step * count), Box::new(plain));
        Axis {
            title: title.to_owned(),
            scale: Scale::Linear,
            range,
            marks,
            thin: Vec::new(),
            label,
        }
    }

    /// Names in a row, at 0, 1, 2 and so on.
    pub(super) fn named(title: &str, names: Vec<String>) -> Axis {
        Axis {
            title: title.to_owned(),
            scale: Scale::Linear,
            range: (-0.3, names.len() as f64 - 0.7),
            marks: (0..names.len()).map(|n| n as f64).collect(),
            thin: Vec::new(),
            label: Box::new(move |at| names[at.round() as usize].clone()),
        }
    }

    /// Marks where these values are and nowhere else.
    pub(super) fn marked_at(mut self, values: Vec<f64>) -> Axis {
        (self.marks, self.thin) = (values, Vec::new());
        self
    }

    /// Where a value stands.
    pub(super) fn at(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        }
    }

    pub(super) fn begin(&self) -> f64 {
        self.range.0
    }

    /// The label of the mark that stands there.
    pub(super) fn label_at(&self, at: f64) -> String {
        self.label(match self.scale {
            Scale::Linear => at,
            Scale::Log => 10_f64.powf(at),
        })
    }

    pub(super) fn label(&self, value: f64) -> String {
        (self.label)(value)
    }

    pub(super) fn coord(&self) -> Coord {
        let range = self.range.0..self.range.1;
        let inside = |at: &f64| range.start <= *at && *at <= range.end;
        let at =
            |values: &[f64]| values.iter().map(|value| self.at(*value)).filter(inside).collect();
        Coord { marks: at(&self.marks), thin: at(&self.thin), range }
    }
}

/// An axis as plotters asks for it.
pub(super) struct Coord {
    range: Range<f64>,
    marks: Vec<f64>,
    thin: Vec<f64>,
}

impl Ranged for Coord {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, at: &f64, (begin, end): (i32, i32)) -> i32 {
        let share = (at - self.range.start) / (self.range.end - self.range.start);
        begin + (f64::from(end - begin) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { self.thin.clone() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// The least and the largest value, without those that have no logarithm.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    let low = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
    (low, values.into_iter().reduce(f64::max).unwrap_or(1.0))
}

/// A round number that goes into `high` four to ten times.
fn step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 4.0).log10().floor());
    let fits = |factor: &f64| power * factor * 4.0 <= high;
    power * [5.0, 2.0].into_iter().find(fits).unwrap_or(1.0)
}
