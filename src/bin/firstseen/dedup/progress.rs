//! The line on a terminal that shows how far a run is.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::rc::Rc;
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::Counts;

/// Times a second that the line is drawn.
const DRAWS: u8 = 5;

/// A line on standard error, or nothing when nobody would see it, or it would run into the output.
pub(crate) struct Progress {
    bar: ProgressBar,
    read: Rc<Cell<u64>>,
}

impl Progress {
    /// `total` is the size of the input on disk, where it is known; `read` counts up to it.
    /// `prints` says that records go to standard output meanwhile.
    pub(crate) fn new(total: Option<u64>, read: Rc<Cell<u64>>, prints: bool) -> Progress {
        if !io::stderr().is_terminal() || (prints && io::stdout().is_terminal()) {
            return Progress { bar: ProgressBar::hidden(), read };
        }
        let template = if total.is_some() {
            "{percent}% of {total_bytes}, {eta} left, {binary_bytes_per_sec}, {wide_msg}"
        } else {
            "{elapsed}, {bytes}, {binary_bytes_per_sec}, {wide_msg}"
        };
        let style = ProgressStyle::with_template(template).expect("a constant template");
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(DRAWS));
        bar.set_style(style);
        bar.enable_steady_tick(Duration::from_millis(500));
        Progress { bar, read }
    }

    /// Shows the counts after a batch.
    pub(crate) fn update(&self, counts: &Counts) {
        if self.bar.is_hidden() {
            return;
        }
        let rate = counts.records as f64 / self.bar.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!(
            "{} unique, {} duplicates, {}/s",
            HumanCount(counts.unique),
            HumanCount(counts.duplicates),
            HumanCount(rate as u64)
        ));
        self.bar.set_position(self.read.get());
    }

    /// Writes a line of text to standard error above the progress line.
    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("firstseen: {text}"));
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
