//! Models of the gate, over every interleaving that loom finds.

use loom::cell::UnsafeCell;
use loom::thread;

use super::gate::Gate;
use super::{Arc, AtomicBool, Ordering};

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// A place where loom reports every access that nothing orders.
#[derive(Default)]
struct Plain(UnsafeCell<u64>);

// SAFETY: loom fails the model at the first access that races with another.
#[allow(unsafe_code)]
unsafe impl Sync for Plain {}

#[allow(unsafe_code)]
impl Plain {
    fn get(&self) -> u64 {
        // SAFETY: loom fails the model before a read that races with a write.
        self.0.with(|place| unsafe { *place })
    }

    fn set(&self, value: u64) {
        // SAFETY: loom fails the model before a write that races with another access.
        self.0.with_mut(|place| unsafe { *place = value });
    }
}

/// Readers find the pair as it was or as it became, never in between, and `update` does not touch
/// it before they have left.
#[test]
fn a_reader_never_meets_a_replacement() {
    explore(|| {
        let gate = Arc::new(Gate::new((Plain::default(), Plain::default())));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || {
                    let inside = gate.enter();
                    assert_eq!(inside.0.get(), inside.1.get());
                })
            })
            .collect();
        gate.update(|pair| {
            pair.0.set(1);
            pair.1.set(1);
        });
        assert_eq!(gate.enter().1.get(), 1);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// Two updates do not overlap, and a reader sees one of the states between them.
#[test]
fn replacements_exclude_each_other() {
    explore(|| {
        let gate = Arc::new(Gate::new((Plain::default(), Plain::default())));
        let add_one = |pair: &mut (Plain, Plain)| {
            pair.0.set(pair.0.get() + 1);
            pair.1.set(pair.1.get() + 1);
        };
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.update(add_one))
        };
        gate.update(add_one);
        let inside = gate.enter();
        assert_eq!(inside.0.get(), inside.1.get());
        drop(inside);
        other.join().unwrap();
        assert_eq!(gate.enter().0.get(), 2);
    });
}

/// An id is found whose inserter is inside still: after the wait its frame has been staged.
#[test]
fn waiting_for_those_inside_shows_what_they_did_later() {
    explore(|| {
        let gate = Arc::new(Gate::new(AtomicBool::new(false)));
        let staged = Arc::new(Plain::default());
        let winner = {
            let (gate, staged) = (Arc::clone(&gate), Arc::clone(&staged));
            thread::spawn(move || {
                let inside = gate.enter();
                inside.store(true, Ordering::Release);
                staged.set(1);
                drop(inside);
            })
        };
        let inside = gate.enter();
        if inside.load(Ordering::Acquire) {
            let (slot, readers) = (inside.slot(), gate.readers());
            drop(inside);
            gate.wait_for(&readers, slot);
            assert_eq!(staged.get(), 1);
        } else {
            drop(inside);
        }
        winner.join().unwrap();
    });
}

/// A reader may be replaced in its slot by another; the wait is for the one of then.
#[test]
fn the_wait_is_for_the_readers_of_then() {
    explore(|| {
        let gate = Arc::new(Gate::new(()));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let gate = Arc::clone(&gate);
                thread::spawn(move || drop(gate.enter()))
            })
            .collect();
        let inside = gate.enter();
        let (slot, readers) = (inside.slot(), gate.readers());
        drop(inside);
        gate.wait_for(&readers, slot);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}
