//! The parent's side: children are started, killed at random moments, and started again.
//!
//! A moment is counted from the start of the process for a third of the kills, so that they hit the
//! opening and the recovery, and from its word that the store is open for the others, so that they hit the
//! work. Most are spread over orders of magnitude, for the steps that may be hit are, too; those of
//! the last third are spread evenly, so that much work is done in between.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Barrier, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::child::{ALIVE, OPEN};
use super::random::Rng;
use super::{Failure, Options};

const SOONEST: Duration = Duration::from_micros(200);
const LATEST: Duration = Duration::from_millis(60);

/// Whoever says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A part that a child plays; one child at a time does.
#[derive(Debug)]
pub struct Role {
    /// What it is told with `--child`.
    pub name: &'static str,
    /// Arguments beside those of [`Options`].
    pub args: Vec<OsString>,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Tally {
    /// Children that were killed while they ran.
    pub kills: u64,
    /// Those among them that had not opened their store.
    pub kills_before_open: u64,
    /// What children said, and how often.
    pub words: BTreeMap<String, u64>,
}

/// What all roles share.
struct Run<'a> {
    options: &'a Options,
    dir: &'a Path,
    exe: PathBuf,
    /// The longest that a child lives: longer where children of several roles have to meet.
    latest: Duration,
    /// Kills that nobody has set out to do.
    left: AtomicU64,
    tally: Mutex<Tally>,
    failed: Mutex<Option<Failure>>,
}

/// Kills the children of all roles, each at its own moments, as often as the options say. Then one of each
/// role runs to its end.
///
/// `more` is called when a child has done all its work before that: it gives more of it to do.
pub fn supervise(
    options: &Options,
    dir: &Path,
    roles: &[Role],
    more: &(dyn Fn(&Role) -> Result<(), Failure> + Sync),
) -> Result<Tally, Failure> {
    let run = Run {
        options,
        dir,
        exe: std::env::current_exe()?,
        latest: LATEST * (roles.len() * roles.len()) as u32,
        left: AtomicU64::new(options.kills),
        tally: Mutex::default(),
        failed: Mutex::default(),
    };
    let nobody_is_killed_any_more = Barrier::new(roles.len());
    thread::scope(|scope| {
        for (role, stream) in roles.iter().zip(1..) {
            let (run, barrier) = (&run, &nobody_is_killed_any_more);
            scope.spawn(move || {
                let mut rng = Rng::new(run.options.seed, stream);
                let mut life = 0;
                let killed = run.kill_often(role, &mut life, &mut rng, more);
                killed.unwrap_or_else(|error| run.fail(error));
                barrier.wait();
                if !run.has_failed() {
                    run.finish(role, life).unwrap_or_else(|error| run.fail(error));
                }
            });
        }
    });
    match run.failed.into_inner().expect("nobody panicked") {
        Some(error) => Err(error),
        None => Ok(run.tally.into_inner().expect("nobody panicked")),
    }
}

impl Run<'_> {
    fn kill_often(
        &self,
        role: &Role,
        life: &mut u64,
        rng: &mut Rng,
        more: &dyn Fn(&Role) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let take = |left: u64| left.checked_sub(1);
        while self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            // A child that ended by itself is not a kill: another one is started for this one.
            while !self.has_failed() && !self.kill_one(role, *life, rng)? {
                *life += 1;
                more(role)?;
            }
            *life += 1;
        }
        Ok(())
    }

    /// Starts a child and kills it. `false` if it had done all its work by then.
    fn kill_one(&self, role: &Role, life: u64, rng: &mut Rng) -> Result<bool, Failure> {
        let (from_open, evenly) =
            [(false, false), (true, false), (true, true)][rng.below(3) as usize];
        let lives = match evenly {
            true => self.latest.mul_f64(rng.share()),
            false => rng.log_uniform(SOONEST, LATEST),
        };
        let mut child = Running::start(self, role, life, false)?;
        if from_open {
            child.wait_until_open()?;
        }
        thread::sleep(lives);
        child.process.kill()?;
        let (status, words) = child.end()?;
        let killed = was_killed(status);
        if !killed && !status.success() {
            return Err(child.failed(&status.to_string()));
        }
        let mut tally = self.tally.lock().expect("nobody panicked");
        tally.kills += u64::from(killed);
        tally.kills_before_open += u64::from(killed && !words.contains_key(OPEN));
        tally.add(words);
        Ok(killed)
    }

    /// Lets a child run to its end.
    fn finish(&self, role: &Role, life: u64) -> Result<(), Failure> {
        let mut child = Running::start(self, role, life, true)?;
        let mut heard = Instant::now();
        loop {
            match child.heard.recv_timeout(Duration::from_millis(100)) {
                Ok(_) => heard = Instant::now(),
                Err(RecvTimeoutError::Disconnected) => break,
                // What it waits for may never come.
                Err(RecvTimeoutError::Timeout) if self.has_failed() => return Ok(()),
                Err(RecvTimeoutError::Timeout) if heard.elapsed() > SILENCE_MAX => {
                    return Err(child.failed("it hangs at its work"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        let (status, words) = child.end()?;
        if !status.success() {
            return Err(child.failed(&status.to_string()));
        }
        self.tally.lock().expect("nobody panicked").add(words);
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.failed.lock().expect("nobody panicked").is_some()
    }

    /// Keeps the first failure; others follow from it.
    fn fail(&self, error: Failure) {
        self.failed.lock().expect("nobody panicked").get_or_insert(error);
    }
}

impl Tally {
    fn add(&mut self, words: Words) {
        for (word, n) in words.into_iter().filter(|(word, _)| word != OPEN && word != ALIVE) {
            *self.words.entry(word).or_default() += n;
        }
    }
}

type Words = BTreeMap<String, u64>;

/// A child that was started. It is killed when this is dropped.
struct Running {
    role: &'static str,
    process: Child,
    /// Its words as they come, and their counts at its end.
    heard: Receiver<String>,
    reader: Option<JoinHandle<Words>>,
    /// Where its standard error goes.
    stderr: PathBuf,
}

impl Running {
    fn start(run: &Run<'_>, role: &Role, life: u64, last: bool) -> Result<Running, Failure> {
        let stderr = run.dir.join(format!("{}.stderr", role.name));
        let options = run.options;
        let mut command = Command::new(&run.exe);
        command.args(["--child", role.name]).arg("--dir").arg(run.dir);
        let numbers = [("--seed", options.seed), ("--records", options.records), ("--life", life)];
        numbers.iter().for_each(|(name, n)| _ = command.arg(name).arg(n.to_string()));
        command.args(last.then_some("--last")).args(&role.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&stderr)?);
        let mut process = command.spawn()?;
        let out = process.stdout.take().expect("it is piped");
        let (tell, heard) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut words = Words::new();
            // The last line of a child that was killed may be cut short: then it has no end.
            let (mut out, mut line) = (BufReader::new(out), String::new());
            while out.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let word = line.trim_end().to_owned();
                *words.entry(word.clone()).or_default() += 1;
                // Nobody may listen any more.
                let _ = tell.send(word);
                line.clear();
            }
            words
        });
        Ok(Running { role: role.name, process, heard, reader: Some(reader), stderr })
    }

    /// Waits for its word that the store is open, or its end.
    fn wait_until_open(&mut self) -> Result<(), Failure> {
        loop {
            match self.heard.recv_timeout(SILENCE_MAX) {
                Ok(word) if word == OPEN => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(self.failed("it hangs opening its store"));
                }
            }
        }
    }

    /// How it ended, and all that it said.
    fn end(&mut self) -> Result<(ExitStatus, Words), Failure> {
        let status = self.process.wait()?;
        let reader = self.reader.take().expect("it ends once");
        Ok((status, reader.join().expect("reading does not panic")))
    }

    fn failed(&self, how: &str) -> Failure {
        let said = fs::read_to_string(&self.stderr).unwrap_or_default();
        format!("child `{}`: {how}; it said: {}", self.role, said.trim_end()).into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended before, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(unix)]
fn was_killed(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL)
}

/// Where there are no signals a killed process ends with code 1, which no child ends with by itself.
#[cfg(not(unix))]
fn was_killed(status: ExitStatus) -> bool {
    status.code() == Some(1)
}
