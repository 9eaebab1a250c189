//! The order of the two effects of a batch: its output is written, its ids are remembered.
//!
//! A kill between the two is the one moment that matters, and no order makes both always happen:
//!
//! - **Output first.** The batch is judged without remembering anything, its output is written and
//!   flushed, then its ids are remembered. Killed in between, the batch is printed again by the
//!   next run: nothing is lost, at most one batch is repeated.
//! - **Insert first.** The batch is judged and remembered in one step, then written. Killed in
//!   between, its ids are known and its records were not printed: nothing is repeated, the
//!   new records of at most one batch are lost.

use firstseen::{Error, Timestamp, Verdict};

use crate::fail::{Failure, Result};

/// Which effect comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Order {
    /// Print, then remember: a killed run repeated loses nothing, and repeats at most one batch
    OutputFirst,
    /// Remember, then print: a killed run repeated repeats nothing, and may lose one batch
    InsertFirst,
}

/// The store as a batch sees it.
pub(crate) trait Memory {
    /// The verdicts that [`Memory::insert`] would give.
    fn check(
        &self,
        ids: &[&[u8]],
        times: Option<&[Timestamp]>,
        out: &mut Vec<Verdict>,
    ) -> firstseen::Result<()>;

    /// Judges and remembers.
    fn insert(
        &self,
        ids: &[&[u8]],
        times: Option<&[Timestamp]>,
        out: &mut Vec<Verdict>,
    ) -> firstseen::Result<()>;
}

impl Memory for firstseen::Store {
    fn check(
        &self,
        ids: &[&[u8]],
        times: Option<&[Timestamp]>,
        out: &mut Vec<Verdict>,
    ) -> firstseen::Result<()> {
        match times {
            Some(times) => self.check_timed(ids, times, out),
            None => self.check(ids, out),
        }
    }

    fn insert(
        &self,
        ids: &[&[u8]],
        times: Option<&[Timestamp]>,
        out: &mut Vec<Verdict>,
    ) -> firstseen::Result<()> {
        match times {
            Some(times) => self.check_and_insert_timed_into(ids, times, out),
            None => self.check_and_insert_into(ids, out),
        }
    }
}

/// Takes a batch through both effects. `emit` writes and flushes its output. Of `ids`, only those
/// that were inserted may be left.
pub(crate) fn settle(
    order: Order,
    memory: &impl Memory,
    ids: &mut Vec<&[u8]>,
    times: Option<&[Timestamp]>,
    verdicts: &mut Vec<Verdict>,
    emit: &mut dyn FnMut(&[Verdict]) -> Result<()>,
) -> Result<()> {
    match order {
        Order::OutputFirst => {
            memory.check(ids, times, verdicts)?;
            emit(verdicts)?;
            if times.is_none() {
                // A duplicate may reach the end of its window in between. Inserted then, it would
                // count as seen anew, though its record was not printed.
                let mut judged = verdicts.iter();
                ids.retain(|_| judged.next().is_some_and(Verdict::is_new));
            }
            Ok(memory.insert(ids, times, verdicts)?)
        }
        Order::InsertFirst => match memory.insert(ids, times, verdicts) {
            Ok(()) => emit(verdicts),
            Err(error) => {
                // Ids that were settled before the failure are known now: print their records.
                if let Error::Interrupted { settled, .. } = &error
                    && let Some(stand) = verdicts.get(..*settled)
                {
                    emit(stand)?;
                }
                Err(Failure::from(error))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// Notes what is asked of it; knows the id "b", and may fail after some ids.
    struct Notes<'a>(&'a RefCell<Vec<String>>, Option<usize>);

    fn judge(ids: &[&[u8]]) -> Vec<Verdict> {
        let first_seen = Timestamp::MIN;
        let known = Verdict::Duplicate { first_seen };
        ids.iter().map(|id| if *id == b"b" { known } else { Verdict::New }).collect()
    }

    fn named(step: &str, ids: &[&[u8]]) -> String {
        format!("{step} {}", String::from_utf8(ids.concat()).expect("text"))
    }

    impl Memory for Notes<'_> {
        fn check(
            &self,
            ids: &[&[u8]],
            _: Option<&[Timestamp]>,
            out: &mut Vec<Verdict>,
        ) -> firstseen::Result<()> {
            self.0.borrow_mut().push(named("check", ids));
            *out = judge(ids);
            Ok(())
        }

        fn insert(
            &self,
            ids: &[&[u8]],
            _: Option<&[Timestamp]>,
            out: &mut Vec<Verdict>,
        ) -> firstseen::Result<()> {
            self.0.borrow_mut().push(named("insert", ids));
            *out = judge(ids);
            match self.1 {
                None => Ok(()),
                Some(settled) => {
                    let source = Box::new(Error::Closed);
                    Err(Error::Interrupted { settled, verdicts: Vec::new(), source })
                }
            }
        }
    }

    /// What happened, in order, and whether it failed.
    fn run(
        order: Order,
        times: Option<&[Timestamp]>,
        fails_after: Option<usize>,
        output: Result<()>,
    ) -> (Vec<String>, bool) {
        let notes = RefCell::new(Vec::new());
        let mut output = Some(output);
        let result = settle(
            order,
            &Notes(&notes, fails_after),
            &mut vec![b"a", b"b", b"c"],
            times,
            &mut Vec::new(),
            &mut |verdicts| {
                notes.borrow_mut().push(format!("print {}", verdicts.len()));
                output.take().unwrap_or(Ok(()))
            },
        );
        (notes.into_inner(), result.is_err())
    }

    #[test]
    fn each_order_keeps_its_order() {
        let (steps, failed) = run(Order::OutputFirst, None, None, Ok(()));
        assert_eq!((steps.join(", "), failed), ("check abc, print 3, insert ac".to_owned(), false));
        let (steps, failed) = run(Order::InsertFirst, None, None, Ok(()));
        assert_eq!((steps.join(", "), failed), ("insert abc, print 3".to_owned(), false));
    }

    #[test]
    fn with_times_every_id_is_inserted_for_each_moves_the_time_on() {
        let times = [Timestamp::MIN; 3];
        let (steps, _) = run(Order::OutputFirst, Some(&times), None, Ok(()));
        assert_eq!(steps, ["check abc", "print 3", "insert abc"]);
    }

    #[test]
    fn what_could_not_be_printed_is_not_remembered() {
        let (steps, failed) = run(Order::OutputFirst, None, None, Err(Failure::BrokenPipe));
        assert_eq!((steps.join(", "), failed), ("check abc, print 3".to_owned(), true));
    }

    #[test]
    fn what_was_remembered_before_a_failure_is_printed() {
        let (steps, failed) = run(Order::InsertFirst, None, Some(2), Ok(()));
        assert_eq!((steps.join(", "), failed), ("insert abc, print 2".to_owned(), true));
    }
}
