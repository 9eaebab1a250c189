//! Models of what changes under a call that looks: which table takes new ids, and where an id is found when
//! its table is sealed. Over the interleavings of up to two preemptions.

use std::sync::{
    Arc as StdArc,
    atomic::{AtomicUsize, Ordering},
};

use loom::thread;

use crate::filter::WindowFilter;
use crate::index::{Insert, Table};
use crate::key::Fingerprint;
use crate::sync::Arc;
use crate::sync::gate::Gate;

const ID: Fingerprint = Fingerprint::from_u128(7 << 64 | 9);
/// Takes its slot when the table is used again.
const OTHER: Fingerprint = Fingerprint::from_u128(8 << 64 | 10);

/// As `View`, with what the models need of it.
struct Plain {
    active: Arc<Table>,
    frozen: Option<Frozen>,
    /// What a run has.
    sealed: Option<Fingerprint>,
}

struct Frozen {
    table: Arc<Table>,
    in_filter: bool,
}

fn table() -> Arc<Table> {
    Arc::new(Table::new(crate::index::BUCKET_BITS_MIN).unwrap())
}

fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

impl Plain {
    fn new() -> Plain {
        Plain { active: table(), frozen: None, sealed: None }
    }

    fn freeze(&mut self) {
        let table = std::mem::replace(&mut self.active, table());
        self.frozen = Some(Frozen { table, in_filter: false });
    }

    /// Whether a table has the id that stands apart from the filter, or behind it.
    fn frozen(&self, id: Fingerprint, in_filter: bool) -> bool {
        let frozen = self.frozen.as_ref().filter(|frozen| frozen.in_filter == in_filter);
        frozen.is_some_and(|frozen| frozen.table.get(id).is_some())
    }

    /// In the order of a call: what the filter does not know, then the filter, then what is behind it.
    fn finds(&self, id: Fingerprint, filter: &WindowFilter) -> bool {
        self.frozen(id, false)
            || (filter.may_contain(id) && (self.frozen(id, true) || self.sealed == Some(id)))
    }
}

/// Two calls bring one id while its table is exchanged: one of them is told that it is new.
#[test]
fn no_id_goes_into_a_table_and_the_next() {
    let orders = StdArc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = StdArc::clone(&orders);
    explore(move || {
        let gate = Arc::new(Gate::new(Plain::new()));
        let call = |gate: &Gate<Plain>| {
            let inside = gate.enter();
            let found = inside.frozen(ID, false);
            !found && inside.active.insert(ID, 0) == Insert::Inserted
        };
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || call(&gate))
        };
        let rotation = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.update(Plain::freeze))
        };
        let new = call(&gate);
        rotation.join().unwrap();
        assert!(new != other.join().unwrap(), "both or none: {new}");
        let inside = gate.enter();
        let (before, after) = (inside.frozen(ID, false), inside.active.get(ID).is_some());
        assert!(before != after);
        counted[usize::from(after)].fetch_add(1, Ordering::Relaxed);
    });
    assert!(orders.iter().all(|count| count.load(Ordering::Relaxed) > 0), "{orders:?}");
}

/// A table's ids get into the filter, behind it, and into a run, and the table is emptied for others: a call
/// finds them at each step.
#[test]
fn an_id_is_found_while_its_table_is_sealed_and_used_again() {
    let steps = StdArc::new([AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = StdArc::clone(&steps);
    explore(move || {
        let mut plain = Plain::new();
        plain.active.insert(ID, 0);
        plain.freeze();
        let (gate, filter) = (Arc::new(Gate::new(plain)), Arc::new(WindowFilter::new(2).unwrap()));
        // Of an empty window all is ready; a sweep would come by here as in the filter's own models.
        filter.set_ready(2);
        let call = {
            let (gate, filter, counted) =
                (Arc::clone(&gate), Arc::clone(&filter), StdArc::clone(&counted));
            thread::spawn(move || {
                let inside = gate.enter();
                let step = match &inside.frozen {
                    Some(frozen) => usize::from(frozen.in_filter),
                    None => 2,
                };
                counted[step].fetch_add(1, Ordering::Relaxed);
                assert!(inside.finds(ID, &filter), "at step {step}");
            })
        };
        filter.add(ID);
        gate.update(|plain| plain.frozen.as_mut().unwrap().in_filter = true);
        let retired = gate.update(|plain| {
            plain.sealed = Some(ID);
            plain.frozen.take().unwrap().table
        });
        let mut table = Arc::try_unwrap(retired).expect("nobody has it outside the gate");
        table.clear();
        table.insert(OTHER, 0);
        call.join().unwrap();
        assert!(gate.enter().finds(ID, &filter));
    });
    assert!(steps.iter().all(|count| count.load(Ordering::Relaxed) > 0), "{steps:?}");
}
