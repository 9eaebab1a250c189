//! The consumer: this is what a user of the store writes.

use std::time::Duration;

use firstseen::{Prepared, Store, Verdict};

use crate::faults::FaultyLedger;
use crate::stream::Payment;
use crate::support::Failure;
use crate::support::child::{beat, say};
use crate::support::random::Rng;

/// Reads a stream from where the last commit left it to its end, and pays what is new.
#[derive(Debug)]
pub struct Worker<'a> {
    pub store: &'a Store,
    pub ledger: FaultyLedger,
    pub source: String,
    pub stream: Vec<Payment>,
    pub rng: Rng,
}

impl Worker<'_> {
    pub fn run(&mut self) -> Result<(), Failure> {
        loop {
            beat();
            // Until what is in doubt is settled, the source does not go on. Other sources do.
            if !settle(self.store, &mut self.ledger, &self.source)? {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let batch = self.next_batch()?;
            if batch.is_empty() {
                return Ok(());
            }
            self.pay_once(&batch)?;
        }
    }

    /// Some records from the progress on: all before it are settled.
    pub fn next_batch(&mut self) -> Result<Vec<Payment>, Failure> {
        let progress = self.store.progress(&self.source)?.unwrap_or(0);
        let rest = self.stream.iter().skip(progress as usize);
        Ok(rest.take(1 + self.rng.below(50) as usize).copied().collect())
    }

    /// Pays those of a batch that are new: prepare here, commit there, commit here.
    fn pay_once(&mut self, batch: &[Payment]) -> Result<(), Failure> {
        let records: Vec<_> = batch.iter().map(|payment| (payment.position, payment.id)).collect();
        let payloads: Vec<_> = batch.iter().map(Payment::payload).collect();
        let mut tx = self.store.claim().payloads(&payloads).begin_from(&self.source, &records)?;
        let verdicts = tx.verdicts().to_vec();
        for (payment, _) in batch.iter().zip(&verdicts).filter(|(_, verdict)| is_mismatch(verdict))
        {
            // For somebody to look at. The key is the record's own: read again it is not counted again.
            tx.put_state(mismatch_key(&self.source, payment.position), payment.payload());
        }
        let new: Vec<Payment> = tx.fresh().map(|i| batch[i]).collect();
        if new.is_empty() {
            tx.commit()?;
        } else {
            // No claim ever had this fencing token or will have it, so a request of an earlier attempt
            // is never taken for this one's.
            let token = format!("{}/{}", self.source, tx.token());
            for i in tx.fresh() {
                tx.set_outcome(i, token.as_str());
            }
            let prepared = tx.prepare(&token)?;
            match self.ledger.pay(&token, &new) {
                Ok(()) => prepared.commit()?,
                // It may have paid or not. The transaction stays in doubt until the ledger says.
                Err(error) if error.is_transient() => say("ledger_failures"),
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(i) = verdicts.iter().position(Verdict::is_in_flight) {
            // It came in another stream, too, and is being paid there, which may fail yet. The
            // progress stops before it, so it is read again.
            say("in_flight");
            self.store.wait(batch[i].id, Duration::from_millis(20))?;
        }
        Ok(())
    }
}

/// Asks the ledger about each transaction of the source that is in doubt, and ends it accordingly.
/// `false` if the ledger did not answer for all of them.
pub fn settle(store: &Store, ledger: &mut FaultyLedger, source: &str) -> Result<bool, Failure> {
    let mut all = true;
    for prepared in store.in_doubt() {
        let token = String::from_utf8(prepared.token().to_vec())?;
        if token.rsplit_once('/').is_none_or(|(of, _)| of != source) {
            continue;
        }
        match ledger.close(&token) {
            Ok(paid) => end(prepared, paid)?,
            Err(error) if error.is_transient() => {
                say("ledger_unreachable");
                all = false;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

fn end(prepared: Prepared, paid: bool) -> firstseen::Result<()> {
    match paid {
        true => {
            say("found_paid");
            prepared.commit()
        }
        false => {
            say("found_unpaid");
            prepared.abort()
        }
    }
}

/// Where a record is kept whose id came with another payload before.
pub fn mismatch_key(source: &str, position: u64) -> String {
    format!("mismatch/{source}/{position}")
}

fn is_mismatch(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Mismatch { .. })
}
