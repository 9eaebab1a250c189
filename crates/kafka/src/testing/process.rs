//! Processes: every call of a client, a producer, or the work is a numbered step, and a plan says what
//! goes wrong at which.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::client::{Fault, FaultKind};

/// One process: what it does is counted, and goes wrong as planned. Clones are the same process.
///
/// ```
/// use firstseen_kafka::FaultKind;
/// use firstseen_kafka::testing::{Harm, Process, When};
///
/// let process = Process::new();
/// process.plan(2, When::Before, Harm::Fault(FaultKind::Transient));
/// process.plan(4, When::After, Harm::Kill);
/// let mut done = Vec::new();
/// let ended = process.run(|| {
///     for step in 1.. {
///         let stepped = process.step("count", || Ok(done.push(step)));
///         assert_eq!(stepped.is_err(), step == 2);
///     }
/// });
/// assert!(ended.is_none(), "it was killed");
/// assert_eq!(done, [1, 3, 4]);
/// assert!(process.is_dead());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Process(Arc<Mutex<Life>>);

#[derive(Debug, Default)]
struct Life {
    steps: u64,
    plans: BTreeMap<u64, (When, Harm)>,
    dead: bool,
    /// The steps that went wrong, and what they did.
    harmed: Vec<(u64, &'static str)>,
}

/// On which side of what a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// It is not done.
    Before,
    /// It is done, and the caller does not learn of it.
    After,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The process is gone: by an unwinding that [`Process::run`] ends, so nothing that comes after the step is
    /// done, but for destructors.
    Kill,
    /// The step says this once. After [`FaultKind::Fatal`] every other says so, too.
    Fault(FaultKind),
}

/// What unwinds a process that was killed.
struct Killed;

impl Process {
    /// A process in which nothing goes wrong.
    #[must_use]
    pub fn new() -> Process {
        Process::default()
    }

    /// Plans that step `step`, counted from one, goes wrong.
    pub fn plan(&self, step: u64, when: When, harm: Harm) {
        self.life().plans.insert(step, (when, harm));
    }

    /// Runs a part of its life; `None` if it was killed in it.
    pub fn run<R>(&self, part: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(part)) {
            Ok(done) => Some(done),
            Err(killed) if killed.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// One step: does `effect`, unless something goes wrong before.
    ///
    /// # Errors
    ///
    /// What `effect` says, and what is planned.
    pub fn step<T>(
        &self,
        doing: &'static str,
        effect: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let planned = {
            let mut life = self.life();
            if life.dead {
                return Err(planned_fault(FaultKind::Fatal, doing));
            }
            life.steps += 1;
            let step = life.steps;
            let planned = life.plans.remove(&step);
            if let Some((_, harm)) = planned {
                life.harmed.push((step, doing));
                life.dead = matches!(harm, Harm::Kill | Harm::Fault(FaultKind::Fatal));
            }
            planned
        };
        let Some((when, harm)) = planned else { return effect() };
        if when == When::After {
            effect()?;
        }
        match harm {
            Harm::Kill => resume_unwind(Box::new(Killed)),
            Harm::Fault(kind) => Err(planned_fault(kind, doing)),
        }
    }

    /// How many steps it has done.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.life().steps
    }

    /// Whether it was killed, or said that it is of no more use.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.life().dead
    }

    /// The steps that went wrong as planned, and what they were to do.
    #[must_use]
    pub fn harmed(&self) -> Vec<(u64, &'static str)> {
        self.life().harmed.clone()
    }

    pub(super) fn is(&self, other: &Process) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.0.lock().expect("nothing panics under the lock")
    }
}

fn planned_fault(kind: FaultKind, doing: &'static str) -> Fault {
    Fault { kind, doing, said: "it was planned to go wrong".to_owned() }
}
