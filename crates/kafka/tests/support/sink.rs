//! A sink that keeps its word: rows, tokens, closed tokens and highest tenures change in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use firstseen_kafka::testing::Process;
use firstseen_kafka::{BoxError, Message, Sink, Token, TopicPartition};

/// The other system. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    rows: Vec<String>,
    done: BTreeSet<String>,
    closed: BTreeSet<String>,
    highest: BTreeMap<TopicPartition, u64>,
    refused: u64,
    /// How often it will not be reached.
    away: u64,
}

impl Ledger {
    pub fn rows(&self) -> Vec<String> {
        self.0.lock().unwrap().rows.clone()
    }

    /// How many transactions it has refused.
    pub fn refused(&self) -> u64 {
        self.0.lock().unwrap().refused
    }

    /// Lets it not be reached for so many calls.
    pub fn go_away(&self, calls: u64) {
        self.0.lock().unwrap().away = calls;
    }

    /// The connection that a process has to it.
    pub fn connect(&self, process: &Process) -> Connection {
        Connection { ledger: self.clone(), process: process.clone() }
    }
}

#[derive(Debug)]
pub struct Connection {
    ledger: Ledger,
    process: Process,
}

impl Connection {
    fn kept<R>(&self, act: impl FnOnce(&mut Kept) -> Result<R, BoxError>) -> Result<R, BoxError> {
        let mut kept = self.ledger.0.lock().unwrap();
        if kept.away > 0 {
            kept.away -= 1;
            return Err("the ledger cannot be reached".into());
        }
        act(&mut kept)
    }
}

impl Sink for Connection {
    fn fence(&mut self, partition: &TopicPartition, tenure: u64) -> Result<(), BoxError> {
        let mut fenced = Ok(());
        self.process.step("fence", || {
            fenced = self.kept(|kept| {
                let highest = kept.highest.entry(partition.clone()).or_default();
                if tenure < *highest {
                    return Err("it was fenced by a later owner".into());
                }
                *highest = tenure;
                Ok(())
            });
            Ok(())
        })?;
        fenced
    }

    fn apply(
        &mut self,
        partition: &TopicPartition,
        token: &Token,
        messages: &mut dyn Iterator<Item = Message<'_>>,
    ) -> Result<(), BoxError> {
        let mut applied = Ok(());
        self.process.step("apply", || {
            applied = self.kept(|kept| {
                let highest = kept.highest.entry(partition.clone()).or_default();
                if kept.closed.contains(token.name()) || token.tenure() < *highest {
                    kept.refused += 1;
                    return Err("refused".into());
                }
                assert!(kept.done.insert(token.name().to_owned()), "a token comes once");
                kept.rows.extend(messages.map(|message| key_of(&message)));
                Ok(())
            });
            Ok(())
        })?;
        applied
    }

    fn close(&mut self, _: &TopicPartition, token: &str) -> Result<bool, BoxError> {
        let mut closed = Ok(false);
        self.process.step("close", || {
            closed = self.kept(|kept| {
                let done = kept.done.contains(token);
                if !done {
                    kept.closed.insert(token.to_owned());
                }
                Ok(done)
            });
            Ok(())
        })?;
        closed
    }
}

pub fn key_of(message: &Message<'_>) -> String {
    String::from_utf8(message.key.expect("orders have keys").to_vec()).unwrap()
}
