//! A campaign: every class for its share of the time, until a promise is broken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Campaign;
use crate::case::{Case, Counts};
use crate::class::Class;
use crate::report::{Broken, Progress, Tally, print};
use crate::support::Rng;
use crate::watch;

/// Runs a campaign. Whether all promises were kept.
pub(crate) fn run(campaign: &Campaign) -> bool {
    let classes = campaign.classes();
    let progress = Progress::new(&classes);
    let mut weights: u32 = classes.iter().map(|class| class.weight()).sum();
    let end = Instant::now() + Duration::from_secs(campaign.seconds);
    let mut kept = true;
    for class in classes {
        let share = end.saturating_duration_since(Instant::now()) * class.weight() / weights.max(1);
        weights -= class.weight();
        let tally = match (class.lacks(), campaign.case) {
            (Some(lack), _) => Tally::skipped(class, campaign.seed, lack),
            (None, Some(number)) => one(class, campaign, Case::of_number(number)),
            (None, None) => many(class, campaign, Instant::now() + share, &progress),
        };
        kept &= tally.broken.is_none() && !(campaign.complete && tally.skipped.is_some());
        progress.suspend(|| print(&tally));
        if !kept {
            break;
        }
    }
    progress.finish();
    kept
}

/// One case, once more.
fn one(class: &'static dyn Class, campaign: &Campaign, case: Case) -> Tally {
    let mut tally = Tally::new(class, campaign.seed);
    if matches!(case, Case::Enumerated(number) if number >= class.enumerated()) {
        let what = format!("there is no such case; the last is {}", class.enumerated());
        tally.broken = Some(Broken::new(class.name(), case, what));
        return tally;
    }
    let outcome = watch::over(class.name(), case, || class.run(case, &mut tally.counts));
    tally.note(case);
    tally.broken = outcome.err().map(|what| Broken::new(class.name(), case, what));
    tally
}

/// Cases until the time is up: in turns one of those that are counted through, and one that a seed draws.
fn many(
    class: &'static dyn Class,
    campaign: &Campaign,
    deadline: Instant,
    progress: &Progress,
) -> Tally {
    let tally = Mutex::new(Tally::new(class, campaign.seed));
    let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let up = number > 0 && Instant::now() >= deadline;
            let Some(case) = nth(class, campaign.seed, number).filter(|_| !up) else { return };
            if over.load(Ordering::Relaxed) {
                return;
            }
            let mut counts = Counts::default();
            let outcome = watch::over(class.name(), case, || class.run(case, &mut counts));
            let mut tally = tally.lock().expect("nobody panics while holding it");
            tally.counts.merge(&counts);
            tally.note(case);
            progress.tell(class.name(), &tally);
            if let Err(what) = outcome {
                tally.broken.get_or_insert_with(|| Broken::new(class.name(), case, what));
                over.store(true, Ordering::Relaxed);
            }
        }
    };
    let workers = if class.is_parallel() { campaign.jobs() } else { 1 };
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(worker))));
    tally.into_inner().expect("nobody panics while holding it")
}

/// The `number`-th of `count`, in an order that leaps: a short campaign sees something of everything, and another
/// seed something else.
fn scattered(number: u64, count: u64, seed: u64) -> u64 {
    let leaps = (count * 5 / 8 + 1..).find(|&leap| are_coprime(leap, count));
    (seed % count + number) % count * leaps.expect("a prime is among them") % count
}

fn are_coprime(mut a: u64, mut b: u64) -> bool {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a == 1
}

/// A seed for case `number` of a class, out of the campaign's.
fn seed_of(campaign: u64, class: &str, number: u64) -> u64 {
    let name = class.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
    Rng::new(campaign ^ name.rotate_left(32)).next() ^ Rng::new(number).next()
}

/// Case `number` of a campaign.
fn nth(class: &dyn Class, seed: u64, number: u64) -> Option<Case> {
    let enumerated = if class.is_sampled() { number / 2 } else { number };
    let sampled = || Case::of_seed(seed_of(seed, class.name(), number));
    match (number.is_multiple_of(2) || !class.is_sampled(), enumerated < class.enumerated()) {
        (true, true) => Some(Case::Enumerated(scattered(enumerated, class.enumerated(), seed))),
        _ => class.is_sampled().then(sampled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_that_is_counted_has_its_turn() {
        for count in [1, 2, 4, 5, 97, 1_920] {
            let mut seen: Vec<u64> = (0..count).map(|n| scattered(n, count, u64::MAX)).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }
}
