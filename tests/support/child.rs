//! Child processes that are killed: the test's own executable, started anew for one of its tests.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{self, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// Set in a child, to what it is to do.
const CHILD: &str = "FIRSTSEEN_TEST_CHILD";

/// What this process is to do, if it is a child.
pub fn asked() -> Option<String> {
    env::var(CHILD).ok()
}

/// A child process.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Child {
    /// Starts a child that runs the test of this name, which finds `what` in [`asked`].
    pub fn start(test: &str, what: &str) -> Child {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(CHILD, what)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Child { process, lines, said: Vec::new() }
    }

    /// Waits until the child has said this.
    pub fn wait_for(&mut self, line: &str) {
        while self.said.last().is_none_or(|said| said != line) {
            let next = self.lines.recv_timeout(Duration::from_secs(60));
            self.said.push(next.unwrap_or_else(|_| panic!("it never said `{line}`")));
        }
    }

    /// Kills it with SIGKILL. Returns all that it has said.
    pub fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        assert!(!status.success() && status.code().is_none(), "it ended by itself: {status}");
        self.said.extend(self.lines);
        self.said
    }
}

/// Where a child says, from any thread, what it has done.
#[derive(Debug, Default)]
pub struct Say(Mutex<()>);

impl Say {
    /// Says a line. The parent hears it even if the child dies just afterwards.
    pub fn line(&self, line: &str) {
        let _one = self.0.lock().unwrap();
        let mut out = std::io::stdout();
        out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).unwrap();
    }
}
