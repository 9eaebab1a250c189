//! How far the progress of a source goes while transactions of it are prepared: never past a record
//! that may still be given back, and past it once nothing can be.

use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::MemoryDisk;
use firstseen::{Prepared, Store};

fn open(disk: &MemoryDisk) -> Store {
    Store::builder()
        .window(Duration::from_secs(3600))
        .memory_budget(16 << 20)
        .background(false)
        .storage(Arc::new(disk.clone()))
        .open("/s")
        .unwrap()
}

fn progress(store: &Store) -> Option<u64> {
    store.progress("s").unwrap()
}

/// Presents one record at its own position and commits what it claimed of it.
fn present(store: &Store, position: u64) {
    let id = position.to_string();
    store.begin_from("s", &[(position, id)]).unwrap().commit().unwrap();
}

fn prepare(store: &Store, position: u64) -> Prepared {
    let tx = store.begin_from("s", &[(position, position.to_string())]).unwrap();
    assert!(tx.verdicts()[0].is_new());
    tx.prepare(position.to_string()).unwrap()
}

#[test]
fn progress_does_not_pass_what_is_prepared_out_of_turn() {
    for abort in [true, false] {
        let store = open(&MemoryDisk::new());
        let first = store.begin_from("s", &[(0, "0")]).unwrap();
        let prepared = prepare(&store, 1);
        first.commit().unwrap();
        assert_eq!(progress(&store), Some(1));
        present(&store, 2);
        assert_eq!(progress(&store), Some(1));
        if abort {
            prepared.abort().unwrap();
            present(&store, 3);
            assert_eq!(progress(&store), Some(1));
            present(&store, 1);
            assert_eq!(progress(&store), Some(4));
        } else {
            prepared.commit().unwrap();
            present(&store, 3);
            assert_eq!(progress(&store), Some(4));
        }
    }
}

#[test]
fn progress_goes_on_after_what_was_presented_while_it_was_in_doubt() {
    for reopen in [false, true] {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        present(&store, 0);
        let _in_doubt = prepare(&store, 1);
        if reopen {
            let killed = disk.kill();
            std::mem::forget(store);
            store = open(&killed);
        }
        // Read again from the progress on: in flight.
        present(&store, 1);
        assert_eq!(progress(&store), Some(1));
        let [prepared] = store.in_doubt().try_into().unwrap();
        prepared.commit().unwrap();
        assert_eq!(progress(&store), Some(2));
        present(&store, 2);
        assert_eq!(progress(&store), Some(3), "reopened: {reopen}");
    }
}

#[test]
fn progress_that_was_set_by_name_and_given_up_is_forgotten() {
    let store = open(&MemoryDisk::new());
    let open = store.begin_from("s", &[(0, "0")]).unwrap();
    let mut named = store.begin::<&str>(&[]).unwrap();
    named.set_progress("s", 100);
    named.prepare("named").unwrap().abort().unwrap();
    open.commit().unwrap();
    assert_eq!(progress(&store), Some(1));
}
