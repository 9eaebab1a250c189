//! What is left after a process that died: durability, and the report of an opening.
//!
//! ```sh
//! cargo run --example reopen
//! ```
//!
//! The program starts itself again. The child inserts 1000 ids and aborts, without closing the store. The
//! parent opens it, prints what opening found, and that all 1000 ids are known: an acknowledged id
//! survives the death of its process under every durability. Then a clean close and a reopening.

use std::env;
use std::path::Path;
use std::process::Command;

use firstseen::{Durability, Store};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    if let Some(path) = env::args_os().nth(1) {
        return die_at_work(Path::new(&path));
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("seen");
    let child = Command::new(env::current_exe()?).arg(&path).status()?;
    println!("the child ended: {child}");

    let store = open(&path)?;
    report(&store);
    let known = store.contains(&ids())?;
    println!("known: {} of {}", known.iter().filter(|&&known| known).count(), known.len());
    store.close()?;

    let store = open(&path)?;
    report(&store);
    store.close()?;
    Ok(())
}

/// Opens with a sync before each acknowledgement, which would survive a power cut as well.
fn open(path: &Path) -> firstseen::Result<Store> {
    Store::builder().durability(Durability::Sync).open(path)
}

fn ids() -> Vec<String> {
    (0..1000).map(|n| format!("order-{n}")).collect()
}

fn die_at_work(path: &Path) -> Result<(), Failure> {
    let store = open(path)?;
    for batch in ids().chunks(100) {
        store.check_and_insert(batch)?;
    }
    // No destructor runs: the lock, the log and the folder are as a killed process leaves them.
    std::process::abort();
}

fn report(store: &Store) {
    let recovery = store.recovery();
    println!(
        "opened: {} segments with {} ids replayed, {} torn bytes, {} files removed, clock {:?}",
        recovery.segments,
        recovery.ids,
        recovery.torn_bytes,
        recovery.removed_files,
        recovery.clock
    );
}
