//! Random histories of transactions on a store, held against a plain model after every step.
//!
//! A history is a list of bytes, so that a seed, a fuzzer and a shrinker can all make one: four bytes
//! choose the settings, then each operation takes four.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};

pub mod compare;
pub mod machine;
pub mod model;
mod tell;

use machine::{Ground, Machine, Settings};

/// Kinds of operation, and how often each comes, of 256.
pub type Shares = &'static [(Kind, u8)];

/// What happens to a store on a disk in memory.
pub const IN_MEMORY: Shares = &[
    (Kind::Begin, 30),
    (Kind::BeginFrom, 34),
    (Kind::Release, 6),
    (Kind::Outcome, 10),
    (Kind::Put, 16),
    (Kind::Delete, 5),
    (Kind::Read, 8),
    (Kind::SetProgress, 5),
    (Kind::Rewind, 3),
    (Kind::Commit, 34),
    (Kind::Abort, 8),
    (Kind::Prepare, 12),
    (Kind::CommitPrepared, 7),
    (Kind::AbortPrepared, 5),
    (Kind::SettleAgain, 3),
    (Kind::Renew, 4),
    (Kind::Resolve, 6),
    (Kind::Insert, 14),
    (Kind::Forget, 7),
    (Kind::Wait, 3),
    (Kind::Seal, 4),
    (Kind::Compact, 3),
    (Kind::Sync, 3),
    (Kind::Advance, 16),
    (Kind::Close, 3),
    (Kind::Kill, 3),
    (Kind::PowerCut, 4),
];

/// What is done in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Begin,
    BeginFrom,
    Release,
    Outcome,
    Put,
    Delete,
    Read,
    SetProgress,
    Rewind,
    Commit,
    Abort,
    Prepare,
    CommitPrepared,
    AbortPrepared,
    SettleAgain,
    Renew,
    Resolve,
    Insert,
    Forget,
    Wait,
    Seal,
    Compact,
    Sync,
    Advance,
    Close,
    Kill,
    PowerCut,
    InsertTimed,
    /// The rest is for stores on real files: they go on with a copy of themselves.
    Checkpoint,
    Migrate,
    Transfer,
}

impl Kind {
    fn of(shares: Shares, byte: u8) -> Kind {
        let mut left = u16::from(byte);
        for &(kind, share) in shares {
            match left.checked_sub(share.into()) {
                None => return kind,
                Some(rest) => left = rest,
            }
        }
        unreachable!("the shares are 256 in all")
    }
}

/// One step: a kind, and three bytes that choose its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Op(pub Kind, pub [u8; 3]);

/// The operations that bytes stand for.
pub fn ops(shares: Shares, bytes: &[u8]) -> Vec<Op> {
    let ops = bytes.chunks_exact(4).map(|op| Op(Kind::of(shares, op[0]), [op[1], op[2], op[3]]));
    ops.collect()
}

/// Goes through a history; panics where store and model part.
pub fn go(settings: [u8; 4], ops: &[Op]) {
    let mut machine = Machine::new(Settings::of(settings), Ground::memory());
    for &op in ops {
        machine.apply(op);
    }
    machine.finish();
}

/// A way through a history that panics where something is wrong.
pub type Go = fn([u8; 4], &[Op]);

/// Goes through the history that these bytes are. If it fails it is made shorter as long as it still
/// does, and told.
pub fn run(go: Go, shares: Shares, bytes: &[u8]) {
    let (&settings, history) = bytes.split_first_chunk().expect("four bytes of settings");
    let history = ops(shares, history);
    let Err(first) = attempt(go, settings, &history) else { return };
    // Each of the many attempts to come would tell of its own panic.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let shrunk = shrink(go, settings, history);
    let last = attempt(go, settings, &shrunk).err().unwrap_or(first);
    panic::set_hook(hook);
    panic!(
        "{last}\nafter {} steps, with {:?}:\n{}",
        shrunk.len(),
        Settings::of(settings),
        tell::tell(shares, settings, &shrunk)
    );
}

fn attempt(go: Go, settings: [u8; 4], ops: &[Op]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| go(settings, ops))).map_err(|panic| said(&*panic))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap_or_default()
}

/// Leaves out what the failure does not need, in ever smaller parts.
fn shrink(go: Go, settings: [u8; 4], mut ops: Vec<Op>) -> Vec<Op> {
    let mut part = ops.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + part).min(ops.len()));
            match attempt(go, settings, &fewer) {
                Err(_) => ops = fewer,
                Ok(()) => at += part,
            }
        }
        if part == 1 {
            return ops;
        }
        part = part.div_ceil(2);
    }
}
