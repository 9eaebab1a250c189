//! Models of the two protocols of the filter, over every interleaving that loom finds.

use loom::thread;

use super::WindowFilter;
use crate::key::Fingerprint;
use crate::sync::Arc;

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// `add`, then `set_ready`: whoever sees the block ready sees the id in it.
#[test]
fn ready_publishes_the_bits() {
    explore(|| {
        let id = Fingerprint::from_u128(7);
        let filter = Arc::new(WindowFilter::new(1).unwrap());
        let writer = {
            let filter = Arc::clone(&filter);
            thread::spawn(move || {
                filter.add(id);
                filter.set_ready(1);
            })
        };
        assert!(filter.may_contain(id));
        writer.join().unwrap();
        assert!(filter.may_contain(id));
        assert!(!filter.may_contain(Fingerprint::from_u128(8)));
    });
}

/// A sweep under a reader: the live id is never absent, the expired one is in the end.
#[test]
fn a_rewrite_hides_no_live_id() {
    explore(|| {
        let (live, expired) = (Fingerprint::from_u128(7), Fingerprint::from_u128(8));
        let filter = Arc::new(WindowFilter::new(1).unwrap());
        filter.add(live);
        filter.add(expired);
        filter.set_ready(1);
        let writer = {
            let filter = Arc::clone(&filter);
            thread::spawn(move || {
                let mut builder = filter.range_builder();
                builder.start(0..1);
                builder.add(live);
                filter.rewrite(builder.from_block(), builder.images());
            })
        };
        assert!(filter.may_contain(live));
        writer.join().unwrap();
        assert!(filter.may_contain(live));
        assert!(!filter.may_contain(expired));
    });
}
