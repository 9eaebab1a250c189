//! The source: an application that changes its data, and a thread that ships the changes.
//!
//! The log of changes is kept in the state, beside the data, so that one commit changes the data and logs
//! the change (a transactional outbox): there is no change without its entry and no entry without its
//! change. Entries are shipped until they are acknowledged, so a crash sends some of them again.
//!
//! | in the store | is |
//! |---|---|
//! | state `data/KEY` | the data |
//! | state `log/POSITION` | a change that is not acknowledged |
//! | progress of `changes` | the position of the next change |
//! | progress of `replica` | what lies below it is acknowledged |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use firstseen::Store;

use crate::change::{Change, Logged};
use crate::link::{Door, Link, is_lost};
use crate::support::child::{OPEN, beat, say};
use crate::support::random::Rng;
use crate::support::{Failure, Options};
use crate::{data_key, open};

/// How many changes may wait to be acknowledged.
const LOG_MAX: u64 = 500;

const PAUSE: Duration = Duration::from_micros(200);

pub fn run(options: &Options) -> Result<(), Failure> {
    let store = open(options.dir(), "source")?;
    say(OPEN);
    let door = Door::open(options.dir())?;
    let all_made = Arc::new(AtomicBool::new(false));
    let shipper = thread::spawn({
        let (store, all_made) = (store.clone(), Arc::clone(&all_made));
        let rng = Rng::new(options.seed, u64::MAX - 2 * options.life);
        move || ship(&store, &door, rng, &all_made)
    });

    let mut rng = Rng::new(options.seed, u64::MAX - 2 * options.life - 1);
    while !shipper.is_finished() {
        let next = store.progress("changes")?.unwrap_or(0);
        if options.last && next >= options.records {
            break;
        }
        if next - store.progress("replica")?.unwrap_or(0) > LOG_MAX {
            thread::sleep(PAUSE);
            continue;
        }
        make_changes(&store, next, 1 + rng.below(20), options.seed)?;
    }
    all_made.store(true, Ordering::Release);
    shipper.join().expect("the shipper panicked")
}

/// The application: changes the data and logs what it changed, in one commit.
fn make_changes(store: &Store, next: u64, count: u64, seed: u64) -> firstseen::Result<()> {
    let mut tx = store.begin::<&str>(&[])?;
    for position in next..next + count {
        let change = Change::made_at(position, seed);
        let key = data_key(change.key());
        match change.apply(tx.state(&key)?) {
            Some(value) => tx.put_state(&key, value),
            None => tx.delete_state(&key),
        }
        tx.put_state(log_key(position), change.to_string());
    }
    tx.set_progress("changes", next + count);
    tx.commit()
}

/// Ships the log to whoever connects, until all changes are made and acknowledged.
fn ship(store: &Store, door: &Door, mut rng: Rng, all_made: &AtomicBool) -> Result<(), Failure> {
    loop {
        let shipped = door.accept().map_err(Failure::from);
        match shipped.and_then(|link| ship_to(store, link, &mut rng, all_made)) {
            Err(error) if is_lost(&error) => say("replica_lost"),
            done => return done,
        }
    }
}

fn ship_to(
    store: &Store,
    mut replica: Link,
    rng: &mut Rng,
    all_made: &AtomicBool,
) -> Result<(), Failure> {
    loop {
        // Asked before the log is read: what is made after that is in the log by then.
        let complete = all_made.load(Ordering::Acquire);
        let batch = read_log(store, 1 + rng.below(40))?;
        if batch.is_empty() {
            if complete {
                return Ok(replica.send_end()?);
            }
            thread::sleep(PAUSE);
            continue;
        }
        replica.send(&batch)?;
        let acknowledged = replica.receive_ack()?;
        // Now and then an acknowledgement gets lost, and the changes are sent again.
        if !rng.one_in(8) {
            forget_log(store, acknowledged)?;
        }
        beat();
    }
}

/// The first entries of the log.
fn read_log(store: &Store, count: u64) -> Result<Vec<Logged>, Failure> {
    let entries = store.scan_state("log/")?.into_iter().take(count as usize);
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let position = String::from_utf8(key)?.trim_start_matches("log/").parse()?;
        Ok(Logged::new(position, String::from_utf8(value)?.parse()?))
    };
    entries.map(read).collect()
}

/// Deletes what the replica has.
fn forget_log(store: &Store, acknowledged: u64) -> firstseen::Result<()> {
    let mut tx = store.begin::<&str>(&[])?;
    for position in store.progress("replica")?.unwrap_or(0)..acknowledged {
        tx.delete_state(log_key(position));
    }
    tx.set_progress("replica", acknowledged);
    tx.commit()
}

/// Padded, so that the order of the keys is that of the positions.
fn log_key(position: u64) -> String {
    format!("log/{position:020}")
}
