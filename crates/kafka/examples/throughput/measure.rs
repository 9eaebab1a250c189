//! Time and processor time between the first batch and the last.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::machine;

/// Counts messages, and notes when the first and the last came.
#[derive(Debug)]
pub struct Meter {
    wanted: u64,
    counted: u64,
    /// At the first count, which is not counted in, and at the last.
    began: Option<(Instant, Duration)>,
    ended: Option<Taken>,
}

/// What consuming everything took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    wall: Duration,
    /// Of all threads of the process.
    processor: Duration,
}

impl Meter {
    pub fn new(wanted: u64) -> Meter {
        Meter { wanted, counted: 0, began: None, ended: None }
    }

    /// Notes that so many messages were worked on.
    pub fn count(&mut self, messages: u64) {
        let (wall, processor) = *self.began.get_or_insert_with(|| (Instant::now(), processor()));
        self.counted += messages;
        if self.counted >= self.wanted && self.ended.is_none() {
            self.ended =
                Some(Taken { wall: wall.elapsed(), processor: self::processor() - processor });
        }
    }

    pub fn is_done(&self) -> bool {
        self.ended.is_some()
    }

    /// What it took.
    ///
    /// # Panics
    ///
    /// If it is not done.
    pub fn taken(&self) -> Taken {
        self.ended.expect("it is done")
    }
}

/// The processor time of the process; nothing where that is not told.
fn processor() -> Duration {
    machine::processor().unwrap_or_default()
}

/// The medians of a way.
#[derive(Debug, Clone, Copy)]
pub struct Medians {
    messages_per_s: f64,
    processor_ns: f64,
}

/// Medians over the rounds.
pub fn medians(taken: &[Taken], messages: u64) -> Medians {
    let median = |of: &dyn Fn(&Taken) -> Duration| {
        let mut all: Vec<f64> = taken.iter().map(|taken| of(taken).as_secs_f64()).collect();
        all.sort_by(f64::total_cmp);
        if all.is_empty() {
            return 1.0;
        }
        let half = all.len() / 2;
        if all.len() % 2 == 1 { all[half] } else { (all[half - 1] + all[half]) / 2.0 }
    };
    Medians {
        messages_per_s: messages as f64 / median(&|taken| taken.wall),
        processor_ns: median(&|taken| taken.processor) * 1e9 / messages as f64,
    }
}

impl Medians {
    /// As it is told, beside those of the plain consumer.
    pub fn report(&self, plain: &Medians) -> Value {
        let places = |n: f64, places: f64| (n * places).round() / places;
        json!({
            "messages_per_s": self.messages_per_s.round(),
            "of_plain": places(self.messages_per_s / plain.messages_per_s, 1_000.0),
            "processor_ns_a_message": places(self.processor_ns, 10.0),
            "processor_of_plain": places(self.processor_ns / plain.processor_ns, 1_000.0),
        })
    }
}
