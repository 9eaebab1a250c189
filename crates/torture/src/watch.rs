//! Panics of any thread, and cases that do not end.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::case::{Case, Promise};

/// What threads died of since that was last asked for.
static PANICS: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());
/// What is under way.
static RUNNING: Mutex<Vec<Running>> = Mutex::new(Vec::new());

#[derive(Clone, Copy)]
struct Running {
    class: &'static str,
    case: Case,
    since: Instant,
    thread: ThreadId,
}

/// Notes panics instead of printing them, and calls `stalled`, which does not return, for the first case that
/// takes longer than `limit`.
pub(crate) fn start(limit: Duration, stalled: fn(&'static str, Case, Duration) -> !) {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |place| format!(" at {place}"));
        let told = format!("panic{place}: {}", text(info.payload()));
        held(&PANICS).push((thread::current().id(), told));
    }));
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_millis(500));
            let late = held(&RUNNING).iter().copied().find(|one| one.since.elapsed() > limit);
            if let Some(Running { class, case, since, .. }) = late {
                stalled(class, case, since.elapsed());
            }
        }
    });
}

/// Runs a case. A panic in it, or in a thread of its store, is a broken promise. Which case the threads of a store
/// belong to cannot be seen: their panics are told by the first case that fails, or by the last that ends.
pub(crate) fn over(class: &'static str, case: Case, run: impl FnOnce() -> Promise) -> Promise {
    let thread = thread::current().id();
    held(&RUNNING).push(Running { class, case, since: Instant::now(), thread });
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    let mut running = held(&RUNNING);
    running.retain(|other| other.thread != thread);
    let last = running.is_empty() || !matches!(outcome, Ok(Ok(())));
    let of_others = |id: ThreadId| running.iter().any(|other| other.thread == id);
    let mine = |id: ThreadId| id == thread || (last && !of_others(id));
    let panics: Vec<String> =
        held(&PANICS).extract_if(.., |(id, _)| mine(*id)).map(|(_, told)| told).collect();
    drop(running);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_the_case_that_it_ended() {
        start(Duration::from_secs(60), |class, _, _| panic!("{class} stalls"));
        let under_way = std::sync::Barrier::new(2);
        let [sound, broken] = thread::scope(|scope| {
            let sound = scope.spawn(|| {
                over("sound", Case::Enumerated(1), || {
                    under_way.wait();
                    thread::sleep(Duration::from_millis(100));
                    Ok(())
                })
            });
            let broken = scope.spawn(|| {
                over("broken", Case::Enumerated(2), || {
                    let _slow = Slow;
                    under_way.wait();
                    panic!("the broken one")
                })
            });
            [sound, broken].map(|thread| thread.join().expect("panics are caught"))
        });
        // Other tests are told of as usual.
        drop(panic::take_hook());
        assert_eq!(sound, Ok(()));
        assert!(broken.is_err_and(|told| told.contains("the broken one")));
    }

    /// Takes its time to go, as a store does whose threads are waited for.
    struct Slow;

    impl Drop for Slow {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(300));
        }
    }
}
