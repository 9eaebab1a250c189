//! When a fault comes: at any operation of a script, or at one of a kind that is drawn first. Most operations are
//! writes and reads, and it is the rare ones that protocols are built around.

use firstseen::testing::Op;

use super::run::Run;
use super::script::{Step, random_script};
use super::setup::Setup;
use crate::case::Promise;
use crate::support::Rng;

/// What changes which files there are, or makes that durable.
pub(crate) const NAMES: &[Op] = &[Op::Create, Op::Rename, Op::Remove, Op::SyncDir];
/// What may stand between an answer and the medium.
pub(crate) const ALL: &[Op] = &[
    Op::Create,
    Op::Open,
    Op::OpenWrite,
    Op::Rename,
    Op::Remove,
    Op::SyncDir,
    Op::Read,
    Op::Write,
    Op::Allocate,
    Op::Truncate,
    Op::SyncData,
    Op::SyncAll,
    Op::Map,
];

/// A script, and when a fault comes.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) setup: Setup,
    pub(crate) script: Vec<Step>,
    /// The number of the operation on the disk.
    pub(crate) operation: u64,
    /// What draws whatever else there is to choose.
    pub(crate) seed: u64,
}

impl Moment {
    /// An operation of a random script: one of these kinds or the one behind it, or any.
    pub(crate) fn draw(random: &mut Rng, kinds: &[Op]) -> Promise<Moment> {
        let (setup, script) = (Setup::random(random), random_script(random));
        let history = Run::history(setup, &script)?;
        let kind = random.pick(kinds);
        let of_kind: Vec<u64> =
            (0..).zip(&history).filter(|(_, op)| **op == kind).map(|(number, _)| number).collect();
        let any = random.below(history.len() as u64);
        let operation = match of_kind.len() {
            0 => any,
            _ if random.one_in(3) => any,
            _ => random.pick(&of_kind) + random.below(2),
        };
        Ok(Moment { setup, script, operation, seed: random.next() })
    }
}
