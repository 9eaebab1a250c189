//! The child's side: words on its standard output, one a line, for the parent.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Failure;

/// What a child says once its store is open.
pub const OPEN: &str = "open";

/// What a child says about once a second, so that nobody takes it for hung.
pub const ALIVE: &str = "alive";

/// Does a child's work. It ends with its parent: nobody else would end it.
pub fn child(work: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
    std::thread::spawn(|| {
        // The parent never writes; what is read is its end.
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(3);
    });
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Tells the parent a word. It counts how often it was told each.
pub fn say(word: &str) {
    let mut out = io::stdout().lock();
    // Without a parent there is nobody to tell, and this process ends with it.
    let _ = writeln!(out, "{word}").and_then(|()| out.flush());
}

/// Tells the parent, about once a second, that the work goes on.
pub fn beat() {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if LAST.swap(now, Ordering::Relaxed) != now {
        say(ALIVE);
    }
}
