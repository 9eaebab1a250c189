//! A process of consumers: a thread for each way. It leaves its groups once its standard input is closed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use firstseen_kafka::{BoxError, Metrics};

use crate::ways::{self, Way};

/// What a child says when one of its ways has worked on its first message.
pub const WORKED: &str = "worked";
/// What it says when partitions have come or gone.
pub const REBALANCED: &str = "rebalanced";
/// What it says, with the name of a way behind it, of each batch that was found in doubt and settled.
pub const SETTLED: &str = "settled";

/// What all threads of a child know.
#[derive(Debug)]
pub struct Env {
    pub dir: PathBuf,
    pub brokers: String,
    /// The name of this life of the process.
    pub life: String,
    pub stop: AtomicBool,
}

/// Does a child's work.
pub fn run(dir: PathBuf, brokers: String, life: String) -> ExitCode {
    match work(Env { dir, brokers, life, stop: AtomicBool::new(false) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn work(env: Env) -> Result<(), BoxError> {
    let logs = env.dir.join("logs");
    std::fs::create_dir_all(&logs)?;
    let log = File::create(logs.join(&env.life))?;
    tracing_subscriber::fmt().with_ansi(false).with_writer(Arc::new(log)).init();
    let env = Arc::new(env);
    let stopped = Arc::clone(&env);
    thread::spawn(move || {
        // The parent never writes; what is read is its end, or its wish.
        let _ = io::stdin().read(&mut [0]);
        stopped.stop.store(true, Ordering::Relaxed);
    });
    thread::scope(|scope| {
        for way in Way::ALL {
            let env = &*env;
            scope.spawn(move || {
                if let Err(error) = ways::consume(env, way) {
                    eprintln!("{} in {}: {error}", way.name(), env.life);
                    std::process::exit(2);
                }
            });
        }
    });
    Ok(())
}

impl Env {
    /// Where a process keeps what is its own, in all its lives.
    pub fn own_folder(&self, way: Way) -> PathBuf {
        let (name, _) = self.life.split_once('-').unwrap_or((&self.life, ""));
        way.folder(&self.dir).join(name)
    }
}

/// What the parent was told of a consumer.
#[derive(Debug)]
pub struct Told {
    way: Way,
    worked: bool,
    changes: u64,
    /// By partition.
    settled: HashMap<i32, u64>,
}

impl Told {
    /// Of a consumer that works in this way nothing was told yet.
    pub fn of(way: Way) -> Told {
        Told { way, worked: false, changes: 0, settled: HashMap::new() }
    }

    /// Tells the parent what has changed.
    pub fn tell(&mut self, metrics: &Metrics) {
        let changes = metrics.assigned + metrics.revoked + metrics.lost;
        if changes != self.changes {
            self.changes = changes;
            say(REBALANCED);
        }
        if metrics.partitions.iter().any(|partition| partition.new > 0) {
            self.tell_of_work();
        }
        let partitions = metrics.partitions.iter();
        let settled = partitions.map(|p| (p.partition.partition, p.settled)).collect();
        let before = std::mem::replace(&mut self.settled, settled);
        for (partition, now) in &self.settled {
            for _ in before.get(partition).copied().unwrap_or(0)..*now {
                say(&format!("{SETTLED} {}", self.way.name()));
            }
        }
    }

    /// Tells it that the consumer works, once.
    pub fn tell_of_work(&mut self) {
        if !self.worked {
            self.worked = true;
            say(WORKED);
        }
    }
}

fn say(word: &str) {
    let mut out = io::stdout().lock();
    // Without a parent there is nobody to tell.
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}
