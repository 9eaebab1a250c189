//! What a child does: several threads insert, claim, forget and tidy, and say so.

use std::io::{self, Write};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use firstseen::{Error, Result, Store, Verdict};

use super::line::{Event, How, What};
use super::setting::{self, Setting};
use super::{now, number};
use crate::support::Rng;

/// How a child ends that cannot go on.
pub(crate) const FAILED: i32 = 3;

/// Opens the store and works on it, until somebody ends it.
pub(crate) fn work(setting: &Setting) -> ! {
    let say = Say::default();
    let store = match setting.builder().open(&setting.dir) {
        Ok(store) => store,
        Err(error) => say.fail("open", &error),
    };
    let in_doubt: Vec<String> = store.in_doubt().iter().map(|p| text(p.token())).collect();
    say.line(&Event::Open { at: now(), tokens: in_doubt });
    let shared = match store.progress(&setting::source(setting.threads)) {
        Ok(progress) => progress.unwrap_or(0),
        Err(error) => say.fail("progress", &error),
    };
    let team = Team {
        store,
        say,
        setting,
        ops: AtomicU64::new(1),
        pool: AtomicU64::new(0),
        copies: AtomicU64::new(0),
        shared_position: Mutex::new(shared),
    };
    Hand::new(&team, 0).settle_all();
    thread::scope(|scope| {
        for thread in 0..setting.threads {
            let team = &team;
            scope.spawn(move || Hand::new(team, thread).work());
        }
    });
    process::exit(FAILED)
}

/// Where a child says what it does.
#[derive(Debug, Default)]
struct Say(Mutex<()>);

impl Say {
    /// Says a line. The parent hears it even if the child dies just afterwards; a child whose parent does
    /// not listen any more ends.
    fn line(&self, event: &Event) {
        let _one = self.0.lock();
        let mut out = io::stdout();
        let said = out.write_all(event.to_line().as_bytes()).and_then(|()| out.flush());
        if said.is_err() {
            process::exit(FAILED);
        }
    }

    fn fail(&self, what: &str, error: &Error) -> ! {
        self.line(&Event::Failed { at: now(), text: format!("{what}: {error}: {error:?}") });
        process::exit(FAILED)
    }
}

/// What the threads share.
struct Team<'a> {
    store: Store,
    say: Say,
    setting: &'a Setting,
    ops: AtomicU64,
    /// Where the ids are that all of them present.
    pool: AtomicU64,
    copies: AtomicU64,
    /// The next position of the shared source, which is presented in order.
    shared_position: Mutex<u64>,
}

/// A thread.
pub(super) struct Hand<'a> {
    team: &'a Team<'a>,
    pub(super) thread: u64,
    pub(super) random: Rng,
    /// Its next private id.
    next: u64,
    /// Its next position in its own source; `None` while that is held by something prepared.
    pub(super) position: Option<u64>,
    /// How many tokens it has used.
    pub(super) tokens: u64,
}

impl<'a> Hand<'a> {
    fn new(team: &'a Team<'a>, thread: u64) -> Hand<'a> {
        let random = team.setting.random(thread);
        let mut hand = Hand { team, thread, random, next: 0, position: None, tokens: 0 };
        let progress = team.store.progress(&setting::source(thread));
        hand.position = Some(hand.or_fail("progress", progress).unwrap_or(0));
        hand
    }

    pub(super) fn store(&self) -> &'a Store {
        &self.team.store
    }

    pub(super) fn setting(&self) -> &'a Setting {
        self.team.setting
    }

    fn work(&mut self) {
        loop {
            match self.random.below(if self.setting().quiet { 890 } else { 1_000 }) {
                0..350 => self.insert_private(),
                350..400 => self.insert_again(),
                400..600 => self.insert_contended(),
                600..730 => self.read_own_source(),
                730..820 => self.read_shared_source(),
                820..890 => self.claim_contended(),
                890..950 => self.pay(),
                950..975 => self.forget(),
                975..985 => _ = self.call(What::Sync, Store::sync),
                985..995 => self.tidy(Store::seal),
                995..998 => self.tidy(Store::compact),
                _ => self.copy(),
            }
        }
    }

    fn insert_private(&mut self) {
        let ids: Vec<u64> = (0..1 + self.random.below(150)).map(|n| self.private(n)).collect();
        // A batch has an id twice now and then; it counts once.
        let mut batch = ids.clone();
        if self.random.one_in(8) {
            batch.push(ids[0]);
        }
        if self.insert(batch) {
            self.next += ids.len() as u64;
        }
    }

    fn private(&self, n: u64) -> u64 {
        number::private(self.setting().life, self.thread, self.next + n)
    }

    fn insert_again(&mut self) {
        if let Some(ids) = self.earlier(50) {
            self.insert(ids);
        }
    }

    /// Some of its private ids of before.
    fn earlier(&mut self, most: u64) -> Option<Vec<u64>> {
        let count = (1 + self.random.below(most)).min(self.next);
        let first = self.random.below(self.next - count + 1);
        let id = |n| number::private(self.setting().life, self.thread, n);
        (count > 0).then(|| (first..first + count).map(id).collect())
    }

    fn insert_contended(&mut self) {
        let ids = self.contended(30);
        self.insert(ids);
    }

    /// Ids that others present too, all different: most of them now, some in earlier lives.
    pub(super) fn contended(&mut self, most: u64) -> Vec<u64> {
        let base = self.team.pool.fetch_add(self.random.below(8), Ordering::Relaxed);
        let life = self.setting().life;
        let mut ids: Vec<u64> = Vec::new();
        for _ in 0..1 + self.random.below(most) {
            let id = match self.random.one_in(6) {
                true => number::contended(
                    life.saturating_sub(self.random.below(3)),
                    self.random.below(200),
                ),
                false => number::contended(life, base + self.random.below(40)),
            };
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    fn insert(&self, ids: Vec<u64>) -> bool {
        let bytes = number::all_bytes(&ids);
        let op = self.begin(What::Insert(ids));
        let verdicts = self.team.store.check_and_insert(&bytes);
        let letters = |verdicts: &Vec<Verdict>| How::Verdicts(letters(verdicts));
        self.end(op, verdicts, letters).is_some()
    }

    fn forget(&mut self) {
        if let Some(ids) = self.earlier(10) {
            let bytes = number::all_bytes(&ids);
            self.call(What::Forget(ids), |store| store.forget(&bytes).map(|_| ()));
        }
    }

    /// Does what changes nothing that can be seen.
    fn tidy(&self, how: impl FnOnce(&Store) -> Result<()>) {
        match how(&self.team.store) {
            Ok(()) | Err(Error::DiskFull { .. }) => {}
            Err(error) => self.team.say.fail("seal or compact", &error),
        }
    }

    fn copy(&self) {
        let n = self.team.copies.fetch_add(1, Ordering::Relaxed);
        if n < 2 {
            let name = format!("copy-{}-{n}", self.setting().life);
            let to = self.setting().dir.with_file_name(&name);
            self.call(What::Copy(name), |store| store.checkpoint(to));
        }
    }

    /// The next position of the source that all of them read, to be held until it has been presented.
    pub(super) fn shared_position(&self) -> MutexGuard<'a, u64> {
        self.team.shared_position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call that says nothing but that it was done.
    pub(super) fn call<T>(&self, what: What, call: impl FnOnce(&Store) -> Result<T>) -> Option<T> {
        let op = self.begin(what);
        let outcome = call(&self.team.store);
        self.end(op, outcome, |_| How::Done)
    }

    pub(super) fn begin(&self, what: What) -> u64 {
        let op = self.team.ops.fetch_add(1, Ordering::Relaxed);
        self.team.say.line(&Event::Begin { op, at: now(), what });
        op
    }

    /// Says what came of a call; `None` if it was refused.
    pub(super) fn end<T>(
        &self,
        op: u64,
        outcome: Result<T>,
        how: impl FnOnce(&T) -> How,
    ) -> Option<T> {
        let said = match &outcome {
            Ok(value) => how(value),
            Err(Error::DiskFull { .. }) => How::Full,
            Err(Error::Refused(_)) => How::Refused,
            Err(error) => self.team.say.fail("a call", error),
        };
        let full = said == How::Full;
        self.team.say.line(&Event::End { op, at: now(), how: said });
        if full {
            self.look_while_full();
        }
        outcome.ok()
    }

    /// Reads go on while the disk is full.
    fn look_while_full(&self) {
        let last: Vec<u64> = (self.next.saturating_sub(20)..self.next)
            .map(|n| number::private(self.setting().life, self.thread, n))
            .collect();
        let looked = self.team.store.contains(&number::all_bytes(&last));
        self.or_fail("contains on a full disk", looked);
        let progress = self.team.store.progress(&setting::source(self.thread));
        self.or_fail("progress on a full disk", progress);
        thread::sleep(Duration::from_millis(1));
    }

    pub(super) fn or_fail<T>(&self, what: &str, outcome: Result<T>) -> T {
        outcome.unwrap_or_else(|error| self.team.say.fail(what, &error))
    }
}

/// A letter a verdict.
pub(super) fn letters(verdicts: &[Verdict]) -> String {
    let letter = |verdict: &Verdict| match verdict {
        Verdict::New => 'N',
        Verdict::Duplicate { .. } => 'D',
        Verdict::InFlight(_) => 'F',
        Verdict::Replay { .. } => 'R',
        _ => '?',
    };
    verdicts.iter().map(letter).collect()
}

/// Bytes that were text.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
