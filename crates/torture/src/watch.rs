//! Panics of any thread, and cases that do not end.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Case, Promise};

/// What threads died of since that was last asked for.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// What is under way: class, case, since when.
static RUNNING: Mutex<Vec<(&'static str, Case, Instant)>> = Mutex::new(Vec::new());

/// Notes panics instead of printing them, and calls `stalled`, which does not return, for the first case that
/// takes longer than `limit`.
pub(crate) fn start(limit: Duration, stalled: fn(&'static str, Case, Duration) -> !) {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
        held(&PANICS).push(format!("panic{place}: {}", text(info.payload())));
    }));
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(500));
            let late = held(&RUNNING).iter().copied().find(|(.., since)| since.elapsed() > limit);
            if let Some((class, case, since)) = late {
                stalled(class, case, since.elapsed());
            }
        }
    });
}

/// Runs a case. A panic in it, or in a thread of its store, is a broken promise.
pub(crate) fn over(class: &'static str, case: Case, run: impl FnOnce() -> Promise) -> Promise {
    let entry = (class, case, Instant::now());
    held(&RUNNING).push(entry);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    held(&RUNNING).retain(|other| *other != entry);
    let panics = std::mem::take(&mut *held(&PANICS));
    match outcome {
        Ok(Ok(())) if panics.is_empty() => Ok(()),
        Ok(Err(broken)) if panics.is_empty() => Err(broken),
        Ok(Err(broken)) => Err(format!("{broken}; {}", panics.join("; "))),
        Ok(Ok(())) | Err(_) => Err(panics.join("; ")),
    }
}

fn held<T>(mutex: &'static Mutex<T>) -> std::sync::MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(payload: &dyn Any) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".to_owned(),
    }
}
