//! A warm call allocates nothing: neither for new ids nor for duplicates.
#![allow(unsafe_code)] // a global allocator that counts

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use firstseen::{Store, Verdict};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc`, so from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn ids(from: u64) -> Vec<[u8; 16]> {
    (from..from + 1_024).map(|n| u128::from(n).to_be_bytes()).collect()
}

#[test]
fn a_warm_call_allocates_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let batches: Vec<_> = (0..64).map(|batch| ids(batch * 1_024)).collect();
    let mut verdicts = Vec::new();
    let mut count = |batches: &[Vec<[u8; 16]>], new: bool| {
        let before = ALLOCATIONS.get();
        for batch in batches {
            store.check_and_insert_into(batch, &mut verdicts).unwrap();
            assert!(verdicts.iter().all(|verdict: &Verdict| verdict.is_new() == new));
        }
        ALLOCATIONS.get() - before
    };
    count(&batches[..32], true);
    assert_eq!(count(&batches[32..], true), 0, "allocations for new ids");
    assert_eq!(count(&batches, false), 0, "allocations for duplicates in memory");
    store.compact().unwrap();
    count(&batches[..1], false);
    assert_eq!(count(&batches, false), 0, "allocations for duplicates in runs");
}
