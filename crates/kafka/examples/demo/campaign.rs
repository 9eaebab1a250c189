//! What happens to the consumers while the orders come: kills, a broker that dies, members that come and go.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use firstseen_kafka::BoxError;
use indicatif::ProgressBar;

use crate::groups::Groups;
use crate::ledger::Ledger;
use crate::process::{Lived, PATIENCE, Process};
use crate::stream::{Producer, Stream};
use crate::support::broker::Broker;
use crate::support::random::Rng;
use crate::ways::Way;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A process is killed and started again.
    Kill,
    /// A process is stopped for so long that the group gives its partitions to others, and then goes on as if nothing had
    /// been: a zombie.
    Zombie,
    /// The broker is killed and started again.
    KillBroker,
    /// A third process joins.
    Join,
    /// It leaves.
    Leave,
}

/// What has happened.
#[derive(Debug, Default)]
pub struct Tally {
    /// The lives that were killed.
    pub killed: HashSet<String>,
    pub broker_kills: u64,
    /// How many processes were taken for dead and came back.
    pub zombies: u64,
    pub lived: Lived,
}

/// A kill comes so long after the one before, at least and at most.
const SOONEST: Duration = Duration::from_millis(1);
const LATEST: Duration = Duration::from_millis(1_500);
/// How long is waited at most for a process to have worked before it is killed.
const WORKS_MOST: Duration = Duration::from_secs(8);
/// How long a zombie is stopped: longer than the group waits for a sign of it.
const FROZEN: Duration = Duration::from_secs(7);
/// How much longer it may be until the others have its partitions.
const TAKING_OVER_MOST: Duration = Duration::from_secs(8);
/// How many of the ways tell of their rebalances.
const FIRSTSEENS: u64 = Way::ALL.len() as u64 - 1;
/// How long the usual consumer may still read when the others have read everything.
const ARTICLE_MOST: Duration = Duration::from_secs(15);

/// What happens, in which order: kills, and in between a death of the broker, and, once in ten kills, a zombie and a
/// third process that comes and goes.
fn plan(kills: u64, rng: &mut Rng) -> Vec<Event> {
    let mut events = vec![Event::Kill; kills as usize];
    let mut place = |end: usize| rng.below(end as u64 + 1) as usize;
    let mut visits: Vec<usize> = (0..2 * (1 + kills / 10)).map(|_| place(events.len())).collect();
    visits.sort_unstable();
    for (n, place) in visits.into_iter().enumerate() {
        events.insert(place + n, if n % 2 == 0 { Event::Join } else { Event::Leave });
    }
    let zombies = if cfg!(unix) { 1 + kills / 10 } else { 0 };
    for _ in 0..zombies {
        events.insert(place(events.len()), Event::Zombie);
    }
    events.insert(place(events.len()), Event::KillBroker);
    events
}

/// The parent's part.
pub struct Campaign<'a> {
    pub dir: &'a Path,
    pub broker: &'a Broker,
    pub progress: &'a ProgressBar,
}

impl Campaign<'_> {
    /// Lets it all happen, and waits until everything is consumed and everybody has left.
    pub fn run(&self, seed: u64, kills: u64, stream: &Arc<Stream>) -> Result<Tally, BoxError> {
        let mut rng = Rng::new(seed, 2);
        let events = plan(kills, &mut rng);
        let brokers = self.broker.brokers();
        let producer = Producer::start(brokers, Arc::clone(stream))?;
        let mut tally = Tally::default();
        // Two that both make it may find it locked: SQLite waits for nobody when it changes the kind of its journal.
        Ledger::open(self.dir)?;
        let mut pair = [self.start("a", 0)?, self.start("b", 0)?];
        let mut third = None;
        self.progress.set_length(events.len() as u64);
        for (n, &event) in events.iter().enumerate() {
            // What is sent is spread over all that happens.
            producer.allow(stream.messages.len() * (n + 1) / (events.len() + 1));
            let [victim, other] = &mut pair;
            let (victim, other) = if rng.one_in(2) { (victim, other) } else { (other, victim) };
            if !rng.one_in(3) || event == Event::Zombie {
                self.wait_until(WORKS_MOST, || victim.check().map(|()| victim.has_worked()))?;
            }
            thread::sleep(rng.log_uniform(SOONEST, LATEST));
            match event {
                Event::Kill => {
                    let life = victim.life_name();
                    tally.lived += victim.kill(self.dir, brokers)?;
                    tally.killed.insert(life);
                }
                Event::Zombie => {
                    let others: Vec<&Process> = third.iter().chain([&*other]).collect();
                    tally.zombies += u64::from(self.make_zombie(victim, &others)?);
                }
                Event::KillBroker => {
                    self.broker.tell("kill")?;
                    self.broker.tell("start")?;
                    tally.broker_kills += 1;
                }
                Event::Join => third = Some(self.start("c", n)?),
                Event::Leave => {
                    let Some(mut third) = third.take() else { continue };
                    self.wait_until(WORKS_MOST, || third.check().map(|()| third.has_worked()))?;
                    tally.lived += third.leave()?;
                }
            }
            self.progress.inc(1);
        }
        producer.allow(stream.messages.len());
        producer.finish()?;
        self.wait_for_the_end(stream, &mut pair)?;
        for process in pair {
            tally.lived += process.leave()?;
        }
        Ok(tally)
    }

    fn start(&self, name: &'static str, lives: usize) -> Result<Process, BoxError> {
        Process::start(name, lives, self.dir, self.broker.brokers())
    }

    /// Stops a process until its partitions are others', then lets it go on. `false` if they were not for too long.
    #[cfg(unix)]
    fn make_zombie(&self, zombie: &Process, others: &[&Process]) -> Result<bool, BoxError> {
        let rebalances = || others.iter().map(|other| other.rebalances()).sum::<u64>();
        let (before, started) = (rebalances(), Instant::now());
        zombie.freeze()?;
        let taken_over = self.wait_until(FROZEN + TAKING_OVER_MOST, || {
            let taken = rebalances() >= before + FIRSTSEENS;
            Ok(taken && started.elapsed() > FROZEN)
        });
        zombie.thaw()?;
        taken_over
    }

    #[cfg(not(unix))]
    fn make_zombie(&self, _: &Process, _: &[&Process]) -> Result<bool, BoxError> {
        Err("a process cannot be stopped here".into())
    }

    /// Waits until all groups have read everything.
    fn wait_for_the_end(&self, stream: &Stream, pair: &mut [Process]) -> Result<(), BoxError> {
        self.progress.set_message("everybody reads to the end");
        let groups = Groups::new(self.broker.brokers())?;
        let ends = groups.ends()?;
        let held: u64 = ends.values().sum();
        if held != stream.messages.len() as u64 {
            let sent = stream.messages.len();
            return Err(format!("the topic holds {held} messages, and {sent} were sent").into());
        }
        let mut behind = Vec::new();
        let all_read = self.wait_until(PATIENCE, || {
            pair.iter_mut().try_for_each(Process::check)?;
            behind = groups.behind(&ends, |way| way != Way::Article);
            Ok(behind.is_empty())
        })?;
        if !all_read {
            return Err(format!("not read to the end within {PATIENCE:?}: {behind:?}").into());
        }
        // What it has passed without an offset it does not come back to.
        self.wait_until(ARTICLE_MOST, || {
            Ok(groups.behind(&ends, |way| way == Way::Article).is_empty())
        })?;
        Ok(())
    }

    /// Waits until a condition holds; `false` if that takes longer than `most`.
    fn wait_until(
        &self,
        most: Duration,
        mut holds: impl FnMut() -> Result<bool, BoxError>,
    ) -> Result<bool, BoxError> {
        let started = Instant::now();
        while !holds()? {
            if started.elapsed() > most {
                return Ok(false);
            }
            self.progress.tick();
            thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}
