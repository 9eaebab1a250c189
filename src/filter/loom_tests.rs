//! Models of the two protocols of the filter, over the interleavings of up to two preemptions.
//!
//! The writer is the model's main thread, which loom runs first, and the reader is spawned. With
//! the roles exchanged a model runs once and proves nothing: loom keeps one last access of a
//! location, and a writer that loads before it stores hides an earlier load of the reader by its
//! own. So each model also demands that the reader came upon both states, before and after.

use std::sync::{
    Arc as StdArc,
    atomic::{AtomicUsize, Ordering},
};

use loom::thread;

use super::WindowFilter;
use crate::key::Fingerprint;
use crate::sync::Arc;

const LIVE: Fingerprint = Fingerprint { hi: 0, lo: 7 };
const EXPIRED: Fingerprint = Fingerprint { hi: 0, lo: 8 };

/// Runs `write` on the filter of `start`, and then declares all ready, beside one look at the live
/// id, which must never be absent.
fn explore(start: fn(&WindowFilter), write: fn(&WindowFilter)) {
    let looks = StdArc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = StdArc::clone(&looks);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let filter = Arc::new(WindowFilter::new(2).unwrap());
        start(&filter);
        let reader = {
            let (filter, counted) = (Arc::clone(&filter), StdArc::clone(&counted));
            thread::spawn(move || {
                let after = filter.ready() == 2;
                counted[usize::from(after)].fetch_add(1, Ordering::Relaxed);
                assert!(filter.may_contain(LIVE));
            })
        };
        write(&filter);
        filter.set_ready(2);
        reader.join().unwrap();
        assert!(filter.may_contain(LIVE));
        assert!(!filter.may_contain(EXPIRED));
    });
    let looks = [0, 1].map(|at: usize| looks[at].load(Ordering::Relaxed));
    assert!(looks.iter().all(|&count| count > 0), "before, after: {looks:?}");
}

/// `add`, then `set_ready`: whoever sees the block ready sees the id in it.
#[test]
fn ready_publishes_the_bits() {
    explore(|_| (), |filter| filter.add(LIVE));
}

/// A sweep under a reader: the live id is never absent, the expired one is in the end.
#[test]
fn a_rewrite_hides_no_live_id() {
    explore(
        |filter| {
            filter.add(LIVE);
            filter.add(EXPIRED);
            filter.set_ready(1);
        },
        |filter| {
            let mut builder = filter.range_builder();
            builder.start(0..1);
            builder.add(LIVE);
            filter.rewrite(builder.from_block(), builder.images());
        },
    );
}
