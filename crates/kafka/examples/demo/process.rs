//! The parent's side of a child: start, kill, ask to leave, start again.

use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firstseen_kafka::BoxError;
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};

use crate::child::{REBALANCED, SETTLED, WORKED};
use crate::ways::Way;

/// How long anything may take before the demo has failed.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A process of consumers, in one of its lives.
pub struct Process {
    name: &'static str,
    life: usize,
    child: Child,
    heard: Arc<Heard>,
    listener: Option<JoinHandle<()>>,
}

/// What a life has said.
#[derive(Debug, Default)]
struct Heard {
    /// How many of the ways have worked.
    worked: AtomicUsize,
    rebalances: AtomicU64,
    /// By way.
    settled: [AtomicU64; Way::ALL.len()],
}

/// What lives have told in all, as far as they lived to tell.
#[derive(Debug, Default, Clone, Copy)]
pub struct Lived {
    /// How often a member's partitions have changed.
    pub rebalances: u64,
    /// How many batches of each way were found in doubt, and settled.
    pub settled: [u64; Way::ALL.len()],
}

impl AddAssign for Lived {
    fn add_assign(&mut self, other: Lived) {
        self.rebalances += other.rebalances;
        for (all, more) in self.settled.iter_mut().zip(other.settled) {
            *all += more;
        }
    }
}

impl Process {
    /// Starts a life of the process of that name.
    pub fn start(
        name: &'static str,
        life: usize,
        dir: &Path,
        brokers: &str,
    ) -> Result<Process, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--life", &format!("{name}-{life}"), "--brokers", brokers, "--dir"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let heard = Arc::new(Heard::default());
        let said = BufReader::new(child.stdout.take().expect("it is piped"));
        let hears = Arc::clone(&heard);
        let listener = thread::spawn(move || {
            for word in said.lines().map_while(Result::ok) {
                match &*word {
                    WORKED => {
                        hears.worked.fetch_add(1, Ordering::Relaxed);
                    }
                    REBALANCED => {
                        hears.rebalances.fetch_add(1, Ordering::Relaxed);
                    }
                    said => {
                        let name = said.strip_prefix(SETTLED).map(str::trim_start);
                        let way = Way::ALL.iter().position(|way| Some(way.name()) == name);
                        if let Some(way) = way {
                            hears.settled[way].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            }
        });
        Ok(Process { name, life, child, heard, listener: Some(listener) })
    }

    /// The name of this life.
    pub fn life_name(&self) -> String {
        format!("{}-{}", self.name, self.life)
    }

    /// Whether all consumers of this life have worked on a message.
    pub fn has_worked(&self) -> bool {
        self.heard.worked.load(Ordering::Relaxed) == Way::ALL.len()
    }

    /// How often its members' partitions have changed.
    pub fn rebalances(&self) -> u64 {
        self.heard.rebalances.load(Ordering::Relaxed)
    }

    /// Stops it where it stands: it lives, does nothing, and does not know of it.
    #[cfg(unix)]
    pub fn freeze(&self) -> Result<(), BoxError> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on where it stood.
    #[cfg(unix)]
    pub fn thaw(&self) -> Result<(), BoxError> {
        self.signal(Signal::CONT)
    }

    #[cfg(unix)]
    fn signal(&self, signal: Signal) -> Result<(), BoxError> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> Result<(), BoxError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended by itself: {status}", self.life_name()).into()),
        }
    }

    /// Kills it and starts the next life. Returns what this one has told.
    pub fn kill(&mut self, dir: &Path, brokers: &str) -> Result<Lived, BoxError> {
        self.check()?;
        self.child.kill()?;
        self.child.wait()?;
        let next = Process::start(self.name, self.life + 1, dir, brokers)?;
        Ok(std::mem::replace(self, next).told())
    }

    /// Asks it to leave its groups and waits until it has ended. Returns as [`Process::kill`].
    pub fn leave(mut self) -> Result<Lived, BoxError> {
        drop(self.child.stdin.take());
        let asked = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(self.told()),
                Some(status) => {
                    return Err(format!("{} ended with {status}", self.life_name()).into());
                }
                None if asked.elapsed() > PATIENCE => {
                    return Err(format!("{} does not leave", self.life_name()).into());
                }
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// What it has told in all, once it has ended.
    fn told(mut self) -> Lived {
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the listener panicked");
        }
        let settled = self.heard.settled.each_ref().map(|n| n.load(Ordering::Relaxed));
        Lived { rebalances: self.rebalances(), settled }
    }
}

impl Drop for Process {
    /// It does not outlive the demo, however that ends.
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
