//! A store that learns from a record what was done while it was not there.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use firstseen::testing::{ManualClock, MemoryDisk};
use firstseen::{
    Builder, CatchUp, Clock, Durability, Error, Past, Recovery, Refusal, Result, Store, TimeSource,
    Timestamp, Verdict,
};

mod support;

use support::disk::DIR;
use support::{Rng, with_seeds};

const WINDOW: Duration = Duration::from_secs(80);
/// 1/256 of a generation, of which a window has eight, rounded up to whole microseconds.
const TICK: Duration = Duration::from_micros(39_063);
const SECOND: Duration = Duration::from_secs(1);
const SOURCE: &str = "orders/3";

/// What was done: id, time, position.
type History = Vec<(String, Timestamp, u64)>;

/// A machine with a disk and a clock.
#[derive(Debug, Clone)]
struct Machine {
    disk: MemoryDisk,
    clock: ManualClock,
    time: TimeSource,
}

impl Machine {
    fn new(time: TimeSource) -> Machine {
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        Machine { disk: MemoryDisk::new(), clock, time }
    }

    /// Another machine at the same time, with nothing on its disk or with what is given.
    fn other(&self, disk: MemoryDisk) -> Machine {
        Machine { disk, ..self.clone() }
    }

    fn builder(&self) -> Builder {
        Store::builder()
            .window(WINDOW)
            .time(self.time)
            .memory_budget(16 << 20)
            .active_ids(100)
            .background(false)
            .durability(Durability::Buffered)
            .storage(Arc::new(self.disk.clone()))
            .clock(Arc::new(self.clock.clone()))
    }

    fn open(&self) -> Store {
        self.builder().open(DIR).unwrap()
    }

    fn catch_up(&self) -> CatchUp {
        self.builder().catch_up(DIR).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.clock.wall()
    }
}

fn past(history: &[(String, Timestamp, u64)]) -> Vec<Past<'_>> {
    let records = history.iter();
    records.map(|(id, time, at)| Past { id: id.as_bytes(), time: *time, position: *at }).collect()
}

/// Adds a history in batches of any size.
fn add(catch_up: &mut CatchUp, mut history: &[(String, Timestamp, u64)], rng: &mut Rng) {
    while !history.is_empty() {
        let n = 1 + rng.below(history.len() as u64) as usize;
        let (batch, rest) = history.split_at(n);
        catch_up.add(SOURCE, &past(batch)).unwrap();
        history = rest;
    }
}

/// Lets ids come again and again, for so long, and records what was let in.
fn live(machine: &Machine, store: &Store, span: Duration, rng: &mut Rng, history: &mut History) {
    let end = machine.now() + span;
    while machine.now() < end {
        let millis = [1, 20, 500, 3_000][rng.below(4) as usize];
        machine.clock.advance(Duration::from_micros(rng.below(millis * 1_000)));
        let now = machine.now();
        let ids: Vec<String> =
            (0..rng.below(30)).map(|_| format!("id-{}", rng.below(400))).collect();
        let verdicts = match machine.time {
            TimeSource::System => store.check_and_insert(&ids),
            TimeSource::Event => store.check_and_insert_at(&ids, now),
        };
        for (id, verdict) in ids.into_iter().zip(verdicts.unwrap()) {
            if verdict.is_new() {
                history.push((id, now, history.len() as u64));
            }
        }
    }
}

/// When each id was let in last.
fn latest(history: &History) -> BTreeMap<&str, Timestamp> {
    history.iter().map(|(id, time, _)| (&id[..], *time)).collect()
}

/// Holds a store against what was done, at the ends of windows and between: each id is known as long as
/// its window is, and at most a tick longer.
fn assert_remembers(machine: &Machine, store: &Store, history: &History) {
    let done = latest(history);
    let ids: Vec<&str> = done.keys().copied().collect();
    let ends = done.values().map(|&time| time + WINDOW);
    let mut moments: Vec<_> = ends.flat_map(|end| [end, end + TICK]).collect();
    moments.sort_unstable();
    for moment in [machine.now()].into_iter().chain(moments).step_by(7) {
        machine.clock.advance(moment - machine.now());
        let (now, mut verdicts) = (machine.now(), Vec::new());
        match machine.time {
            TimeSource::System => store.check(&ids, &mut verdicts),
            TimeSource::Event => store.check_timed(&ids, &vec![now; ids.len()], &mut verdicts),
        }
        .unwrap();
        for ((id, &time), verdict) in done.iter().zip(verdicts) {
            let about = || format!("{id} of {time} at {now}: {verdict:?}");
            match verdict {
                Verdict::Duplicate { first_seen } => {
                    assert!(now < time + WINDOW + TICK, "{}", about());
                    assert!(first_seen <= time && time < first_seen + TICK, "{}", about());
                }
                Verdict::New => assert!(time + WINDOW < now, "{}", about()),
                _ => panic!("{}", about()),
            }
        }
    }
}

#[test]
fn a_rebuilt_store_knows_what_the_first_one_knew_to_the_tick() {
    for time in [TimeSource::System, TimeSource::Event] {
        with_seeds(6, |rng| {
            let here = Machine::new(time);
            let (store, mut history) = (here.open(), History::new());
            live(&here, &store, WINDOW * 4, rng, &mut history);
            let there = here.other(MemoryDisk::new());
            let mut catch_up = there.catch_up();
            add(&mut catch_up, &history, rng);
            let since = if rng.below(2) == 0 { Timestamp::MIN } else { here.now() - WINDOW };
            let rebuilt = catch_up.finish(since).unwrap();
            assert_eq!(rebuilt.progress(SOURCE).unwrap(), Some(history.len() as u64));
            if time == TimeSource::System {
                assert_eq!(rebuilt.effective_window(), WINDOW);
            }
            rebuilt.compact().unwrap();
            assert_remembers(&there, &rebuilt, &history);
            // The first one is told the same.
            assert_remembers(&here, &store, &history);
        });
    }
}

#[test]
fn a_checkpoint_and_what_was_done_since_are_the_whole_store() {
    for time in [TimeSource::System, TimeSource::Event] {
        with_seeds(6, |rng| {
            let here = Machine::new(time);
            let (store, mut history) = (here.open(), History::new());
            live(&here, &store, WINDOW * 2, rng, &mut history);
            let (checkpoint, then) = (here.disk.kill(), here.now());
            // Some of it is read again.
            let gap = history.len() - rng.below(history.len() as u64 / 8) as usize;
            live(&here, &store, WINDOW / 4, rng, &mut history);
            let there = here.other(checkpoint);
            let mut catch_up = there.catch_up();
            assert!(catch_up.needed_since() <= then.max(here.now() - WINDOW));
            add(&mut catch_up, &history[gap..], rng);
            let rebuilt = catch_up.finish(history[gap - 1].1).unwrap();
            assert_eq!(rebuilt.effective_window(), WINDOW);
            assert_remembers(&there, &rebuilt, &history);
        });
    }
}

#[test]
fn what_was_done_anew_is_remembered_since_then() {
    let machine = Machine::new(TimeSource::System);
    let first = machine.now();
    // The window of the first time has just passed, but not that of its tick.
    let again = first + WINDOW + Duration::from_micros(1);
    machine.clock.advance(WINDOW + SECOND);
    let mut catch_up = machine.catch_up();
    let history = vec![("a".into(), first, 0), ("a".into(), again, 1)];
    assert_eq!(catch_up.add(SOURCE, &past(&history)).unwrap(), 2);
    // The same once more changes nothing.
    assert_eq!(catch_up.add(SOURCE, &past(&history)).unwrap(), 0);
    let store = catch_up.finish(Timestamp::MIN).unwrap();
    assert_remembers(&machine, &store, &history);
}

#[test]
fn what_is_told_again_at_the_end_of_its_window_expires_then() {
    let machine = Machine::new(TimeSource::System);
    let start = machine.now();
    // Its tick began a window ago; itself it was done in the window.
    let (done, now) = (start + TICK / 2, start + WINDOW + TICK / 4);
    machine.clock.advance(WINDOW + TICK / 4);
    let mut catch_up = machine.catch_up();
    let times = [start, done, now, done];
    assert_eq!(catch_up.add_ids(&["first", "a", "last", "a"], &times).unwrap(), 3);
    let store = catch_up.finish(Timestamp::MIN).unwrap();
    assert!(store.contains(&["a"]).unwrap()[0]);
    machine.clock.advance(TICK);
    assert!(!store.contains(&["a"]).unwrap()[0]);
}

#[test]
fn the_window_is_as_long_as_the_record() {
    let machine = Machine::new(TimeSource::System);
    machine.clock.advance(WINDOW * 2);
    for (back, effective) in [(WINDOW / 4, WINDOW / 4), (WINDOW, WINDOW), (WINDOW * 2, WINDOW)] {
        let machine = machine.other(MemoryDisk::new());
        let catch_up = machine.catch_up();
        assert_eq!(catch_up.needed_since(), machine.now() - WINDOW);
        let store = catch_up.finish(machine.now() - back).unwrap();
        assert_eq!(store.effective_window(), effective);
        store.close().unwrap();
        assert_eq!(machine.open().effective_window(), effective);
    }
}

#[test]
fn an_abandoned_one_is_never_taken_for_complete() {
    let machine = Machine::new(TimeSource::System);
    let start = machine.now();
    machine.clock.advance(WINDOW / 2);
    let history: Vec<_> =
        (0..300).map(|i| (format!("id-{i}"), start + SECOND * (i as u32 / 10), i)).collect();
    let mut catch_up = machine.catch_up();
    catch_up.add(SOURCE, &past(&history[..200])).unwrap();
    let killed = machine.other(machine.disk.kill());
    let cut = machine.other(machine.disk.crash());
    drop(catch_up);
    for left in [machine, killed, cut] {
        // Nor is it once another has begun, whatever that is told, where it does not reach back.
        let again = left.other(left.disk.kill());
        let again = again.builder().future_skew(SECOND).catch_up(DIR).unwrap();
        assert_eq!(again.needed_since(), left.now() - WINDOW);
        let store = again.finish(left.now() - SECOND).unwrap();
        assert_eq!(store.effective_window(), SECOND);

        let again = left.other(left.disk.kill());
        let mut catch_up = again.catch_up();
        catch_up.add(SOURCE, &past(&history)).unwrap();
        let store = catch_up.finish(start - WINDOW).unwrap();
        assert_eq!(store.effective_window(), WINDOW);
        assert_remembers(&left.other(MemoryDisk::new()), &store, &history);
        drop(store);

        let store = left.open();
        assert!(store.recovery().catch_up_abandoned);
        assert_eq!(store.effective_window(), Duration::ZERO);
        assert!(store.progress(SOURCE).unwrap().is_none());
        left.clock.advance(SECOND);
        assert!(store.effective_window() <= SECOND);
        store.close().unwrap();
        let store = left.open();
        assert!(!store.recovery().catch_up_abandoned);
        assert!(store.effective_window() <= SECOND);
        // From that opening on it knows all, so a later catch-up can build on that.
        let opened = left.now() - SECOND;
        store.check_and_insert(&["new"]).unwrap();
        store.close().unwrap();
        left.clock.advance(SECOND * 9);
        let store = left.catch_up().finish(left.now() - SECOND * 9).unwrap();
        assert!(store.effective_window() <= left.now() - opened);
    }
}

/// Goes through a catch-up as far as the disk lets it. Whether it was begun, and the end of it.
fn go(machine: &Machine, history: &[(String, Timestamp, u64)]) -> (bool, Result<Store>) {
    let mut catch_up = match machine.builder().catch_up(DIR) {
        Ok(catch_up) => catch_up,
        Err(error) => return (false, Err(error)),
    };
    for batch in history.chunks(70) {
        if let Err(error) = catch_up.add(SOURCE, &past(batch)) {
            return (true, Err(error));
        }
    }
    (true, catch_up.finish(Timestamp::MIN))
}

/// What is left of a machine whose disk fails at operation `number`: once, or from then on as if the process had
/// ended there.
fn left_of(disk: &MemoryDisk, number: u64, ended: bool) -> Vec<MemoryDisk> {
    match ended {
        true => vec![disk.kill(), disk.crash(), disk.crash_with(number)],
        false => vec![disk.kill(), disk.crash()],
    }
}

#[test]
fn whatever_interrupts_it_leaves_an_incomplete_store_or_the_complete_one() {
    let start = Machine::new(TimeSource::System);
    let store = start.open();
    let mut history: History = Vec::new();
    for i in 0..300 {
        let id = format!("id-{i}");
        if i < 90 {
            store.check_and_insert(&[&id]).unwrap();
        }
        history.push((id, start.now(), i));
        start.clock.advance(WINDOW / 250);
    }
    store.close().unwrap();
    for (disk, known) in [(MemoryDisk::new(), 0), (start.disk.crash(), 90)] {
        let whole = start.other(disk.crash());
        let before = whole.disk.ops();
        go(&whole, &history[known..]).1.unwrap().close().unwrap();
        let (mut abandoned, mut complete) = (0, 0);
        for (number, ended) in (before..whole.disk.ops()).flat_map(|n| [(n, true), (n, false)]) {
            let machine = start.other(disk.crash());
            match ended {
                true => machine.disk.fail_from(number, ErrorKind::Other),
                false => machine.disk.fail_at(number, ErrorKind::Other),
            }
            let (begun, outcome) = go(&machine, &history[known..]);
            let finished = outcome.is_ok();
            drop(outcome);
            for left in left_of(&machine.disk, number, ended) {
                let about = format!("operation {number}, for good: {ended}, finished: {finished}");
                let store = machine.other(left).open();
                let knows = |(id, time, _): &(String, Timestamp, u64)| {
                    time.max(&(start.now() - WINDOW)) != time || store.contains(&[id]).unwrap()[0]
                };
                assert!(history[..known].iter().all(knows), "{about}");
                assert!(!begun || !store.recovery().created, "{about}");
                if !begun {
                    // Nobody has a store that claims to know what it was not told.
                    let Recovery { created, catch_up_abandoned, .. } = *store.recovery();
                    assert!(known > 0 || created || catch_up_abandoned, "{about}");
                    continue;
                }
                if store.effective_window() == WINDOW {
                    assert!(history.iter().all(knows), "{about}");
                    assert_eq!(store.progress(SOURCE).unwrap(), Some(300), "{about}");
                    complete += 1;
                } else {
                    assert!(!finished && store.recovery().catch_up_abandoned, "{about}");
                    assert_eq!(store.effective_window(), Duration::ZERO, "{about}");
                    abandoned += 1;
                }
            }
        }
        assert!(abandoned > 100 && complete > 10, "{abandoned} abandoned, {complete} complete");
    }
}

#[test]
fn progress_is_that_of_the_last_record_and_never_goes_back() {
    let machine = Machine::new(TimeSource::System);
    let store = machine.open();
    store.begin_from("far", &[(99, "x")]).unwrap().commit().unwrap();
    store.begin_from("near", &[(3, "y")]).unwrap().commit().unwrap();
    let _ = store.begin_from("held", &[(5, "z")]).unwrap().prepare("token").unwrap();
    store.close().unwrap();

    let mut catch_up = machine.catch_up();
    assert_eq!(catch_up.progress("near").unwrap(), Some(4));
    let done = |id, position| Past { id, time: machine.now(), position };
    catch_up.add("near", &[done(b"b", 7), done(b"a", 6)]).unwrap();
    catch_up.add("far", &[done(b"c", 50)]).unwrap();
    catch_up.set_progress("silent", 12).unwrap();
    catch_up.set_progress("silent", 11).unwrap();
    catch_up.add("end", &[done(b"d", u64::MAX)]).unwrap();
    catch_up.add("nothing", &[]).unwrap();
    catch_up.add_ids(&["e"], &[machine.now()]).unwrap();
    assert!(matches!(catch_up.add_ids(&["e", "f"], &[machine.now()]), Err(Error::Misuse(_))));
    let locked = catch_up.add("held", &[done(b"z", 5)]);
    assert!(matches!(locked, Err(Error::Refused(Refusal::SourceLocked { .. }))), "{locked:?}");
    assert!(matches!(catch_up.set_progress("", 1), Err(Error::Refused(_))));
    // What is in doubt here may be known to be done; that of the source is told when it is settled.
    assert_eq!(catch_up.add_ids(&["z"], &[machine.now()]).unwrap(), 1);
    drop(catch_up.finish(Timestamp::MIN).unwrap());

    let store = machine.other(machine.disk.crash()).open();
    let sources = store.sources().unwrap();
    let expected = [("end", u64::MAX), ("far", 100), ("near", 8), ("silent", 12)];
    assert_eq!(sources, expected.map(|(source, next)| (source.to_owned(), next)));
    let ids = ["a", "b", "c", "d", "e", "x", "y", "z"];
    assert_eq!(store.contains(&ids).unwrap(), [true; 8]);
    // Done it stays, also if here it is given up.
    store.in_doubt().remove(0).abort().unwrap();
    assert!(store.check_and_insert(&["z"]).unwrap()[0].is_duplicate());
}

#[test]
fn what_was_forgotten_after_it_was_done_stays_so() {
    let machine = Machine::new(TimeSource::System);
    let done = machine.now();
    let store = machine.open();
    store.check_and_insert(&["a", "b"]).unwrap();
    machine.clock.advance(SECOND);
    store.forget(&["a", "b"]).unwrap();
    store.close().unwrap();
    machine.clock.advance(SECOND);
    let mut catch_up = machine.catch_up();
    let times = [done, done, machine.now()];
    assert_eq!(catch_up.add_ids(&["a", "b", "b"], &times).unwrap(), 1);
    let store = catch_up.finish(Timestamp::MIN).unwrap();
    assert_eq!(store.contains(&["a", "b"]).unwrap(), [false, true]);
}

#[test]
fn a_time_from_the_future_closes_no_window() {
    let hour = SECOND * 3600;
    for time in [TimeSource::System, TimeSource::Event] {
        let machine = Machine::new(time);
        let now = machine.now();
        let builder = machine.builder().future_skew(SECOND);
        let mut catch_up = builder.catch_up(DIR).unwrap();
        let times = [now - SECOND, now + hour, now];
        assert_eq!(catch_up.add_ids(&["a", "wrong", "b"], &times).unwrap(), 3);
        let store = catch_up.finish(Timestamp::MIN).unwrap();
        let ahead = if time == TimeSource::Event { SECOND } else { Duration::ZERO };
        let Verdict::Duplicate { first_seen } = store.check_and_insert(&["b"]).unwrap()[0] else {
            panic!("it was added");
        };
        assert!(first_seen <= now + ahead && now + ahead < first_seen + TICK);
    }
}

#[test]
fn a_batch_may_be_of_any_size() {
    let machine = Machine::new(TimeSource::System);
    let builder = machine.builder().active_ids(50_000).background(true);
    let start = machine.now();
    machine.clock.advance(WINDOW);
    let ids: Vec<[u8; 8]> = (0..200_000_u64).map(u64::to_be_bytes).collect();
    let times: Vec<_> = (0..200_000).map(|i| start + WINDOW / 200_000 * i).collect();
    let mut catch_up = builder.catch_up(DIR).unwrap();
    assert_eq!(catch_up.add_ids(&ids, &times).unwrap(), 200_000);
    assert_eq!(catch_up.add_ids(&ids, &times).unwrap(), 0);
    let store = catch_up.finish(start).unwrap();
    assert!(store.contains(&ids).unwrap().iter().all(|&known| known));
    assert!(store.stats().runs > 0, "{:?}", store.stats());
}
