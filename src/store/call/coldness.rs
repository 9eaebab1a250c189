//! Whether memory holds the runs, judged by the time that looks into them take.
//!
//! To tell the system of a page costs a system call, more than a look at a page in memory. So runs are told of only
//! once looks have been slow twice in succession: once may be a neighbour's doing. Telling makes looks fast, so for
//! how long it goes on does not hang on their time: for a number of looks, after which one is taken without. Each such
//! look that is slow again makes that number larger.

use std::time::Duration;

use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// The time that a look may take for each page and not be slow: many times what one in memory takes, the first look at
/// it through a mapping included.
const A_PAGE: Duration = Duration::from_micros(8);
/// The same, for each id that the filter of a run was asked for.
const A_QUESTION: Duration = Duration::from_nanos(125);
/// The same, whatever was looked at.
const A_LOOK: Duration = Duration::from_micros(20);
/// For how many looks runs are told of at first, and at most.
const LOOKS: std::ops::RangeInclusive<u64> = 64..=1024;

/// What looks into runs cost, but for their time.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Work {
    pub(super) questions: u64,
    pub(super) pages: u64,
}

/// Relaxed throughout: it decides how runs are asked, never what they answer.
#[derive(Debug, Default)]
pub(crate) struct Coldness {
    /// Whether the last look without telling was slow.
    slow: AtomicBool,
    /// For how many looks runs are told of yet.
    left: AtomicU64,
    /// For how many they were the last time; 0 if memory held them since.
    last: AtomicU64,
}

impl Coldness {
    /// Whether the look that begins is to tell of what it will read.
    pub(super) fn tells(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            // Another's look may be lost here, which is one look more.
            self.left.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// A look that told nothing took so long. One without pages says nothing of whether memory holds them.
    pub(super) fn took(&self, time: Duration, work: Work) {
        let allowed = A_LOOK + times(A_PAGE, work.pages) + times(A_QUESTION, work.questions);
        if time > allowed {
            if self.slow.swap(true, Ordering::Relaxed) {
                let looks = 2 * self.last.load(Ordering::Relaxed);
                let looks = looks.clamp(*LOOKS.start(), *LOOKS.end());
                self.last.store(looks, Ordering::Relaxed);
                self.left.store(looks, Ordering::Relaxed);
            }
        } else if work.pages > 0 {
            self.slow.store(false, Ordering::Relaxed);
            self.last.store(0, Ordering::Relaxed);
        }
    }
}

fn times(each: Duration, count: u64) -> Duration {
    each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORK: Work = Work { questions: 800, pages: 100 };
    const FAST: Duration = Duration::from_micros(920);
    const SLOW: Duration = Duration::from_micros(921);

    /// How many looks tell, before one does not.
    fn telling(coldness: &Coldness) -> u64 {
        (0..).find(|_| !coldness.tells()).unwrap()
    }

    #[test]
    fn one_slow_look_is_not_enough() {
        let coldness = Coldness::default();
        for _ in 0..3 {
            coldness.took(SLOW, WORK);
            coldness.took(FAST, WORK);
        }
        assert_eq!(telling(&coldness), 0);
    }

    #[test]
    fn a_look_without_pages_is_no_sign_that_memory_holds_them() {
        let coldness = Coldness::default();
        coldness.took(SLOW, WORK);
        coldness.took(Duration::ZERO, Work { questions: 5, pages: 0 });
        coldness.took(SLOW, WORK);
        assert_eq!(telling(&coldness), 64);
    }

    #[test]
    fn slow_looks_are_followed_by_more_and_more_that_tell() {
        let coldness = Coldness::default();
        coldness.took(SLOW, WORK);
        for looks in [64, 128, 256, 512, 1024, 1024] {
            coldness.took(SLOW, WORK);
            assert_eq!(telling(&coldness), looks);
        }
        coldness.took(FAST, WORK);
        assert_eq!(telling(&coldness), 0);
        coldness.took(SLOW, WORK);
        coldness.took(SLOW, WORK);
        assert_eq!(telling(&coldness), 64, "and from the start again");
    }
}
