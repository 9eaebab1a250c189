//! The parent's side of a child: start, kill, ask to leave, start again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firstseen_kafka::BoxError;

use crate::child::{REBALANCED, WORKED};
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
                    _ => {}
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

    /// Fails if it has ended by itself.
    pub fn check(&mut self) -> Result<(), BoxError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended by itself: {status}", self.life_name()).into()),
        }
    }

    /// Kills it and starts the next life. Returns how many rebalances this one has told of.
    pub fn kill(&mut self, dir: &Path, brokers: &str) -> Result<u64, BoxError> {
        self.check()?;
        self.child.kill()?;
        self.child.wait()?;
        let next = Process::start(self.name, self.life + 1, dir, brokers)?;
        Ok(std::mem::replace(self, next).told())
    }

    /// Asks it to leave its groups and waits until it has ended. Returns as [`Process::kill`].
    pub fn leave(mut self) -> Result<u64, BoxError> {
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
    fn told(mut self) -> u64 {
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the listener panicked");
        }
        self.heard.rebalances.load(Ordering::Relaxed)
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
