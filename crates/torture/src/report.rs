//! What a campaign says: a line of JSON a class, and a progress line on a terminal.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::case::{Case, Counts};
use crate::class::Class;

/// What became of one class.
pub(crate) struct Tally {
    class: &'static str,
    seed: u64,
    started: Instant,
    enumerable: u64,
    enumerated: u64,
    sampled: u64,
    pub(crate) counts: Counts,
    pub(crate) skipped: Option<String>,
    pub(crate) broken: Option<Broken>,
}

/// A broken promise.
pub(crate) struct Broken {
    case: Case,
    what: String,
    replay: String,
}

impl Broken {
    pub(crate) fn new(class: &str, case: Case, what: String) -> Broken {
        let number = case.number();
        let sled = if cfg!(feature = "sled") { " --features sled" } else { "" };
        let replay = format!(
            "cargo run --release -p firstseen-torture{sled} -- --only {class} --case {number}"
        );
        Broken { case, what, replay }
    }
}

impl Tally {
    pub(crate) fn new(class: &dyn Class, seed: u64) -> Tally {
        Tally {
            class: class.name(),
            seed,
            started: Instant::now(),
            enumerable: class.enumerated(),
            enumerated: 0,
            sampled: 0,
            counts: Counts::default(),
            skipped: None,
            broken: None,
        }
    }

    pub(crate) fn skipped(class: &dyn Class, seed: u64, lack: String) -> Tally {
        Tally { skipped: Some(lack), ..Tally::new(class, seed) }
    }

    /// Counts a case that was run.
    pub(crate) fn note(&mut self, case: Case) {
        match case {
            Case::Enumerated(_) => self.enumerated += 1,
            Case::Sampled(_) => self.sampled += 1,
        }
    }

    fn cases(&self) -> u64 {
        self.enumerated + self.sampled
    }

    fn json(&self) -> Value {
        let counts: Map<String, Value> =
            self.counts.iter().map(|(what, n)| (what.to_owned(), n.into())).collect();
        let broken = self.broken.as_ref().map(|broken| {
            let Broken { case, what, replay } = broken;
            json!({ "case": case.number(), "what": what, "replay": replay })
        });
        json!({
            "class": self.class,
            "seed": self.seed,
            "cases": self.cases(),
            "enumerated": self.enumerated,
            "enumerable": self.enumerable,
            "sampled": self.sampled,
            "seconds": (self.started.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            "counts": counts,
            "skipped": self.skipped,
            "broken": broken,
        })
    }
}

/// Prints the line of a class; what was skipped or broken is said aloud as well.
pub(crate) fn print(tally: &Tally) {
    say(&tally.json());
    if let Some(lack) = &tally.skipped {
        eprintln!("skipped: {} ({lack})", tally.class);
    }
    if let Some(Broken { what, replay, .. }) = &tally.broken {
        eprintln!("broken: {}: {what}\nreplay it with: {replay}", tally.class);
    }
}

/// Prints one line of JSON. Whoever does not listen any more is not told.
pub(crate) fn say(line: &Value) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says that a case does not end, and ends.
pub(crate) fn stalled(class: &'static str, case: Case, after: Duration) -> ! {
    let what = format!("does not end: {} s", after.as_secs());
    let Broken { what, replay, .. } = Broken::new(class, case, what);
    let broken = json!({ "case": case.number(), "what": what, "replay": replay });
    say(&json!({ "class": class, "broken": broken }));
    eprintln!("broken: {class}: {what}\nreplay it with: {replay}");
    std::process::exit(1);
}

/// How far the campaign is, on a terminal only.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(classes: &[&'static dyn Class]) -> Progress {
        let bar = ProgressBar::with_draw_target(
            Some(classes.len() as u64),
            ProgressDrawTarget::stderr_with_hz(4),
        );
        let style = ProgressStyle::with_template("{elapsed_precise} {pos}/{len} classes {msg}");
        bar.set_style(style.expect("the template is right"));
        Progress(bar)
    }

    pub(crate) fn tell(&self, class: &str, tally: &Tally) {
        self.0.set_message(format!("{class}: {} cases", tally.cases()));
    }

    pub(crate) fn suspend(&self, f: impl FnOnce()) {
        self.0.suspend(f);
        self.0.inc(1);
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
