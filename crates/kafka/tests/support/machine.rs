//! A machine: a process with a consumer in it, which may die and is started anew.

use firstseen_kafka::testing::{Member, Process};
use firstseen_kafka::{Consumer, Metrics, Result, Settings, Work};

/// A consumer, whatever its way of working.
pub trait Consumes {
    fn step(&mut self) -> Result<()>;
    fn shut_down(&mut self) -> Result<()>;
    fn metrics(&self) -> Metrics;
}

impl<W: Work<Member>> Consumes for Consumer<Member, W> {
    fn step(&mut self) -> Result<()> {
        Consumer::step(self)
    }

    fn shut_down(&mut self) -> Result<()> {
        Consumer::shut_down(self)
    }

    fn metrics(&self) -> Metrics {
        Consumer::metrics(self)
    }
}

pub fn machine<W: Work<Member> + 'static>(
    member: Member,
    work: W,
    settings: Settings,
) -> Box<dyn Consumes> {
    Box::new(Consumer::new(member, work, settings).expect("the settings are right"))
}

/// See the module documentation.
pub struct Machine {
    pub process: Process,
    consumer: Option<Box<dyn Consumes>>,
}

/// How a machine goes on.
#[derive(Debug)]
pub enum Alive {
    Yes,
    /// It was killed.
    Killed,
    /// Its consumer stopped by itself.
    Stopped(firstseen_kafka::Error),
}

impl Machine {
    /// Starts a process; `start` makes its consumer.
    pub fn start(process: Process, start: impl FnOnce(&Process) -> Box<dyn Consumes>) -> Machine {
        let consumer = Some(start(&process));
        Machine { process, consumer }
    }

    pub fn runs(&self) -> bool {
        self.consumer.is_some()
    }

    /// One step of its loop. A machine that is dead does none.
    pub fn step(&mut self) -> Alive {
        self.ended(|consumer| consumer.step())
    }

    /// Stops it with all courtesy.
    pub fn shut_down(&mut self) -> Alive {
        let alive = self.ended(|consumer| consumer.shut_down());
        self.consumer = None;
        alive
    }

    pub fn metrics(&self) -> Metrics {
        self.consumer.as_ref().map_or_else(Metrics::default, |consumer| consumer.metrics())
    }

    /// Does a part of its life. The death of the process lets go of all it had.
    fn ended(&mut self, part: impl FnOnce(&mut dyn Consumes) -> Result<()>) -> Alive {
        let Some(consumer) = &mut self.consumer else { return Alive::Killed };
        let alive = match self.process.run(|| part(&mut **consumer)) {
            Some(Ok(())) => return Alive::Yes,
            Some(Err(error)) => Alive::Stopped(error),
            None => Alive::Killed,
        };
        self.consumer = None;
        alive
    }
}
