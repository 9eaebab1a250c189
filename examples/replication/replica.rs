//! The replica: applies what it is sent, once, and acknowledges what is committed.
//!
//! | in the store | is |
//! |---|---|
//! | state `data/KEY` | the data |
//! | state `applied` | how many changes were applied |
//! | outcome of a change | which one it was among those that were applied, from one |
//! | progress of `changes` | the position of the next change to apply |

use std::thread;
use std::time::Duration;

use firstseen::{Error, Step, Store};

use crate::change::Logged;
use crate::link::{Link, Sent, is_lost};
use crate::sabotage::Sabotage;
use crate::support::child::{OPEN, beat, say};
use crate::support::{Failure, Options};
use crate::{count_of, data_key, open};

pub fn run(options: &Options, sabotage: Option<Sabotage>) -> Result<(), Failure> {
    let store = open(options.dir(), "replica")?;
    say(OPEN);
    loop {
        let followed = Link::connect(options.dir()).map_err(Failure::from);
        let followed = followed.and_then(|source| match sabotage {
            None => follow(&store, source),
            Some(wrong) => wrong.follow(&store, source),
        });
        match followed {
            // The source has died, or is not there yet.
            Err(error) if is_lost(&error) => thread::sleep(Duration::from_micros(500)),
            done => return done,
        }
    }
}

/// Applies what the source sends, until it says that this was all.
fn follow(store: &Store, mut source: Link) -> Result<(), Failure> {
    while let Sent::Batch(batch) = source.receive()? {
        let done = store.process_once("changes", &batch, apply)?;
        if !done.verdicts[0].is_new() {
            say("batches_repeated");
        }
        // Not before the commit: the source deletes what is acknowledged.
        source.acknowledge(done.progress.unwrap_or(0))?;
        beat();
    }
    Ok(())
}

/// Applies a change, as a part of the transaction that also notes that it was applied.
fn apply(step: &mut Step<'_>, logged: &Logged) -> Result<(), Error> {
    let key = data_key(logged.change.key());
    match logged.change.apply(step.state(&key)?) {
        Some(value) => step.put_state(&key, value),
        None => step.delete_state(&key),
    }
    let applied = count_of(step.state("applied")?) + 1;
    step.put_state("applied", applied.to_le_bytes());
    step.set_outcome(applied.to_le_bytes());
    Ok(())
}
