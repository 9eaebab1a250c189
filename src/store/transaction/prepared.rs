//! A transaction between the two halves of a two-phase commit.

use super::super::Store;
use crate::error::Result;
use crate::format::commit::Item;
use crate::state::PreparedData;
use crate::time::Timestamp;

/// A transaction that was prepared and is not settled yet.
///
/// It is on the medium and survives everything; its ids stay [`Verdict::InFlight`](crate::Verdict)
/// until [`Prepared::commit`] or [`Prepared::abort`]. Dropping it settles nothing:
/// [`Store::in_doubt`] gives it back, in this opening and in later ones.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # struct Ledger; impl Ledger { fn commit(&self, _: &str) {} fn close(&self, _: &[u8]) -> bool { true } }
/// # let ledger = Ledger;
/// let store = firstseen::Store::open(dir.path().join("payments.seen"))?;
///
/// let tx = store.begin(&["payment-17"])?;
/// let prepared = tx.prepare("ledger-17")?; // durable: "I am about to"
/// ledger.commit("ledger-17");              // the other system, with the same token
/// prepared.commit()?;                      // durable: "it is done"
///
/// // After a crash in between, ask the other system whether it has the token. Its "no" must be final:
/// // a request that is still on its way must not arrive afterwards.
/// for prepared in store.in_doubt() {
///     match ledger.close(prepared.token()) {
///         true => prepared.commit()?,
///         false => prepared.abort()?,
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "what is prepared stays in flight until it is committed or aborted"]
pub struct Prepared {
    store: Store,
    token: Vec<u8>,
    fence: u64,
}

impl Prepared {
    pub(super) fn new(store: Store, data: &PreparedData) -> Prepared {
        Prepared { store, token: data.prepare().token().to_vec(), fence: data.fence() }
    }

    /// The token that it was prepared under.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// The ids that it claimed, as they were presented. Empty once it is settled.
    #[must_use]
    pub fn ids(&self) -> Vec<Vec<u8>> {
        let Some(data) = self.store.core().prepared_data(&self.token, self.fence) else {
            return Vec::new();
        };
        let raw = data.prepare().commit().items().filter_map(|item| match item {
            Item::RawId { id, .. } => Some(id.to_vec()),
            _ => None,
        });
        raw.collect()
    }

    /// The fencing token of its claim.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// When it was prepared, by store time; `None` once it is settled.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.store.core().prepared_data(&self.token, self.fence).map(|data| data.time)
    }

    /// Commits everything that was prepared, in one step.
    ///
    /// # Errors
    ///
    /// [`Error::NotPrepared`](crate::Error::NotPrepared) if it was settled before. On every other error
    /// but [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) it stays prepared and can be tried again.
    pub fn commit(self) -> Result<()> {
        self.store.core().commit_prepared(&self.token, self.fence)
    }

    /// Gives everything up that was prepared: its ids are let in when they come again.
    ///
    /// # Errors
    ///
    /// As [`Prepared::commit`].
    pub fn abort(self) -> Result<()> {
        self.store.core().abort_prepared(&self.token, self.fence)
    }
}
