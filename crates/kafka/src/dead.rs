//! Messages that cannot be worked on: where they go, and why.

use std::fmt;

use crate::error::BoxError;
use crate::message::{Message, TopicPartition};

/// Why a message was not worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It has no id, or none that can be read.
    NoId(String),
    /// Its event time lies before the window: nobody can know whether it was seen.
    Late,
    /// Its id was seen with another payload.
    Mismatch,
    /// The work on it failed, and whoever was asked said that it is not to be tried again.
    Failed(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoId(why) => write!(f, "it has no id: {why}"),
            Reason::Late => f.write_str("its event time lies before the window"),
            Reason::Mismatch => f.write_str("its id was seen with another payload"),
            Reason::Failed(why) => write!(f, "the work on it failed: {why}"),
        }
    }
}

/// Where messages go that cannot be worked on: a topic, a file, a table.
///
/// They are sent before the commit that passes them, so a crash in between sends one again: at least once.
/// A closure is one that needs no [flush](DeadLetters::flush).
pub trait DeadLetters {
    /// Takes a message and where it was.
    ///
    /// # Errors
    ///
    /// The message is not passed; it is tried again later.
    fn send(
        &mut self,
        partition: &TopicPartition,
        message: &Message<'_>,
        reason: &Reason,
    ) -> Result<(), BoxError>;

    /// Makes what was sent durable. Called before the commit.
    ///
    /// # Errors
    ///
    /// As [`DeadLetters::send`].
    fn flush(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<F> DeadLetters for F
where
    F: FnMut(&TopicPartition, &Message<'_>, &Reason) -> Result<(), BoxError>,
{
    fn send(
        &mut self,
        partition: &TopicPartition,
        message: &Message<'_>,
        reason: &Reason,
    ) -> Result<(), BoxError> {
        self(partition, message, reason)
    }
}
