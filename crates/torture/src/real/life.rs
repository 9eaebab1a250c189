//! A child, as its parent sees it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::case::Promise;
use crate::support::Rng;

/// Whoever says nothing for so long hangs.
const SILENCE_MAX: Duration = Duration::from_secs(40);

/// A child that runs. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Life {
    process: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

/// What is left of a child.
#[derive(Debug)]
pub(crate) struct Death {
    /// All its lines but one that was cut short.
    pub(crate) said: Vec<String>,
    pub(crate) status: ExitStatus,
    /// What it said of its own end: a panic, mostly.
    pub(crate) complaint: String,
}

impl Life {
    /// Starts a child.
    pub(crate) fn start(errand: &str) -> Promise<Life> {
        let exe = std::env::current_exe().map_err(|error| error.to_string())?;
        Life::start_from(&exe, errand)
    }

    fn start_from(exe: &Path, errand: &str) -> Promise<Life> {
        let process = Command::new(exe)
            .args(["child", errand])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut process = process.map_err(|error| format!("cannot start a child: {error}"))?;
        let mut out = BufReader::new(process.stdout.take().expect("it is piped"));
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            while out.read_line(&mut line).is_ok() && line.ends_with('\n') {
                // Nobody may listen any more.
                let _ = tell.send(line.trim_end_matches('\n').to_owned());
                line.clear();
            }
        });
        Ok(Life { process, lines, said: Vec::new() })
    }

    /// Waits until it says this word, or ends.
    pub(crate) fn wait_for(&mut self, word: &str) -> Promise {
        loop {
            match self.lines.recv_timeout(SILENCE_MAX) {
                Ok(line) => {
                    let found = line.split(' ').next() == Some(word);
                    self.said.push(line);
                    if found {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("a child hangs, it has not said `{word}`"));
                }
            }
        }
    }

    /// Whether it runs still.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Lets it live on until a moment of the stream's choice: from its start on, for the opening and the
    /// recovery, or from when the store is open.
    pub(crate) fn live_on(&mut self, random: &mut Rng, longest: Duration) -> Promise {
        let lives = match random.below(4) {
            0 => log_uniform(random, longest / 4),
            kind => {
                self.wait_for("open")?;
                if kind == 1 {
                    longest * (random.below(1_000) as u32) / 1_000
                } else {
                    log_uniform(random, longest / 2)
                }
            }
        };
        thread::sleep(lives);
        Ok(())
    }

    /// Kills it with SIGKILL, if it runs still.
    pub(crate) fn kill(self) -> Promise<Death> {
        self.end(true)
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(self) -> Promise<Death> {
        self.end(false)
    }

    fn end(mut self, kill: bool) -> Promise<Death> {
        if kill {
            // It may have ended before.
            let _ = self.process.kill();
        }
        let mut complaint = String::new();
        if let Some(mut stderr) = self.process.stderr.take() {
            let _ = stderr.read_to_string(&mut complaint);
        }
        let status = self.process.wait().map_err(|error| error.to_string())?;
        let mut said = std::mem::take(&mut self.said);
        said.extend(self.lines.iter());
        Ok(Death { said, status, complaint: complaint.trim_end().to_owned() })
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // It may have ended before, which is as well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Death {
    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        signal(self.status) == Some(9)
    }

    /// Fails if it ended by itself, in a way that nobody expects: a panic, a signal.
    pub(crate) fn ensure_sound(&self, ended_by_itself: bool) -> Promise {
        let expected = ended_by_itself && self.status.code() == Some(super::worker::FAILED);
        if self.was_killed() || expected {
            return Ok(());
        }
        let last = self.said.last().map_or("", String::as_str);
        Err(format!("a child ended with {}: {}; it said last: {last}", self.status, self.complaint))
    }
}

#[cfg(unix)]
pub(crate) fn signal(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

/// Where there are no signals a killed process ends with code 1.
#[cfg(not(unix))]
pub(crate) fn signal(status: ExitStatus) -> Option<i32> {
    (status.code() == Some(1)).then_some(9)
}

/// A time that is as likely in each order of magnitude, from 200 us on.
fn log_uniform(random: &mut Rng, longest: Duration) -> Duration {
    let share = random.below(1 << 20) as f64 / f64::from(1 << 20);
    let least = Duration::from_micros(200);
    let ratio = longest.as_secs_f64() / least.as_secs_f64();
    least.mul_f64(ratio.max(1.0).powf(share))
}
