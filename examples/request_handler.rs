//! A handler of requests that answers a repeated one with what the first one got.
//!
//! ```sh
//! cargo run --example request_handler
//! ```
//!
//! A client that gets no answer sends its request again, under the same key. The handler begins with the
//! key, the payload and a lease, and goes by the verdict:
//!
//! | verdict | answer |
//! |---|---|
//! | `New` | do the work, keep the answer as the outcome, commit |
//! | `InFlight` | wait for the first one, then ask again |
//! | `Duplicate` | the first one's answer |
//! | `Mismatch` | 422: the key was used for something else |
//!
//! The work here is done in the store's own state, so that it is committed with the answer or not at all.
//! Work in another system wants the two phases of the example `payments`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use firstseen::{Claim, Error, Refusal, Store, Verdict};

/// How long a request may take. Whoever takes longer is refused at its commit, and another may try.
const LEASE: Duration = Duration::from_secs(30);

/// How long a repeated request waits for the first one.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn new(status: u16, body: impl Into<String>) -> Answer {
        Answer { status, body: body.into() }
    }

    fn encode(&self) -> Vec<u8> {
        [&self.status.to_le_bytes()[..], self.body.as_bytes()].concat()
    }

    fn decode(outcome: &[u8]) -> Answer {
        let (status, body) = outcome.split_at(2);
        let status = u16::from_le_bytes(status.try_into().expect("two bytes"));
        Answer::new(status, String::from_utf8_lossy(body))
    }
}

/// What the service does: it opens an account, with a number of its own.
struct Service {
    store: Store,
    /// How often the work was done.
    worked: AtomicU32,
}

impl Service {
    /// Handles a request, from whichever thread.
    fn handle(&self, key: &str, owner: &str) -> firstseen::Result<Answer> {
        loop {
            let claim = self.store.claim().lease(LEASE).payloads(&[owner]);
            let mut tx = claim.begin(&[key])?;
            match tx.verdicts()[0] {
                Verdict::New => {
                    // On an error the claim is dropped, and the client's next try is let in.
                    let answer = self.open_account(&mut tx, owner)?;
                    tx.set_outcome(0, answer.encode());
                    match tx.commit() {
                        Ok(()) => return Ok(answer),
                        // Another request changed the counter first. Nothing was kept: once more.
                        Err(Error::Refused(refusal @ Refusal::Conflict { .. })) => {
                            eprintln!("{key}: {refusal}")
                        }
                        Err(error) => return Err(error),
                    }
                }
                Verdict::InFlight(_) => {
                    if self.store.wait(key, PATIENCE)?.is_in_flight() {
                        return Ok(Answer::new(409, "the first request is still being worked on"));
                    }
                }
                Verdict::Mismatch { .. } => {
                    return Ok(Answer::new(422, "the key was used for another request"));
                }
                _ => {
                    let outcome = self.store.outcome(key)?;
                    return Ok(outcome.map_or_else(
                        || Answer::new(410, "the answer is no longer known"),
                        |outcome| Answer::decode(&outcome),
                    ));
                }
            }
        }
    }

    fn open_account(&self, tx: &mut Claim, owner: &str) -> firstseen::Result<Answer> {
        let last = tx
            .state("accounts")?
            .map_or(0, |last| u64::from_le_bytes(last.try_into().expect("eight bytes")));
        // Long enough for the others to meet it at work.
        thread::sleep(Duration::from_millis(20));
        tx.put_state("accounts", (last + 1).to_le_bytes());
        tx.put_state(format!("account/{}", last + 1), owner);
        self.worked.fetch_add(1, Ordering::Relaxed);
        Ok(Answer::new(201, format!("account {} of {owner}", last + 1)))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path().join("requests.seen"))?;
    let service = Service { store, worked: AtomicU32::new(0) };

    // An impatient client: eight times the same request at once.
    let answers: Vec<Answer> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| service.handle("key-1", "ada"))).collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("no handler panics"));
        joined.collect::<firstseen::Result<_>>()
    })?;
    println!("key-1, eight times: {:?}", answers[0]);
    assert!(answers.iter().all(|answer| *answer == Answer::new(201, "account 1 of ada")));
    assert_eq!(service.worked.load(Ordering::Relaxed), 1);

    // The same key for something else is the client's mistake.
    let mistaken = service.handle("key-1", "grace")?;
    println!("key-1, another owner: {mistaken:?}");
    assert_eq!(mistaken.status, 422);

    // Two requests that change the same counter: one of them is refused, and does it again.
    let (one, two) = thread::scope(|scope| {
        let one = scope.spawn(|| service.handle("key-2", "grace"));
        let two = scope.spawn(|| service.handle("key-3", "edsger"));
        (one.join().expect("no handler panics"), two.join().expect("no handler panics"))
    });
    println!("key-2 and key-3: {:?}, {:?}", one?, two?);
    assert_eq!(service.store.scan_state("account/")?.len(), 3);

    // After a restart the answers are still there.
    service.store.close()?;
    let store = Store::open(folder.path().join("requests.seen"))?;
    let service = Service { store, worked: AtomicU32::new(0) };
    assert_eq!(service.handle("key-1", "ada")?, Answer::new(201, "account 1 of ada"));
    assert_eq!(service.worked.load(Ordering::Relaxed), 0);
    println!("key-1, after a restart: the same answer, and no work");
    Ok(())
}
