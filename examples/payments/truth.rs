//! What ledger and store should hold, made from the streams alone, held against what they hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use firstseen::Store;

use crate::ledger::Ledger;
use crate::stream::{self, Payment, STREAMS, source};
use crate::support::Failure;
use crate::worker::mismatch_key;

/// How ledger and store differ from the streams.
#[derive(Debug, Default)]
pub struct Found {
    /// Payments that were requested, once or more.
    pub payments: u64,
    /// Requests with the id of an earlier one and another payload.
    pub mismatches: u64,
    /// Accounts whose balance is not that of the streams.
    pub wrong_totals: u64,
    /// Payments that are not in the ledger.
    pub lost: u64,
    /// Entries of the ledger beyond the first for a payment.
    pub doubled: u64,
    /// Entries with another account or amount than was requested first, or that nobody requested.
    pub wrong_entries: u64,
    /// Payments whose outcome in the store does not name the entry's request.
    pub wrong_receipts: u64,
    /// Mismatches that the store has not noted, and others that it has.
    pub wrong_mismatches: u64,
    /// Streams that were not read to their end, or beyond it.
    pub wrong_progress: u64,
    /// Transactions that were prepared and never settled.
    pub in_doubt: u64,
}

/// Reads the streams to their ends and compares.
pub fn compare(dir: &Path, store: &Store) -> Result<Found, Failure> {
    let mut found = Found { in_doubt: store.in_doubt().len() as u64, ..Found::default() };
    let requested = compare_requests(dir, store, &mut found)?;

    let mut ledger = Ledger::open(dir)?;
    let mut entries = entries(&mut ledger)?;
    let mut balances: BTreeMap<i64, i64> = BTreeMap::new();
    for (number, payment) in &requested {
        *balances.entry(payment.account).or_default() += payment.amount;
        let Some(paid) = entries.remove(number) else {
            found.lost += 1;
            continue;
        };
        found.doubled += paid.len() as u64 - 1;
        let payload = (payment.account, payment.amount);
        let wrong = paid.iter().filter(|entry| (entry.account, entry.amount) != payload);
        found.wrong_entries += wrong.count() as u64;
        let receipt = store.outcome(payment.id)?;
        found.wrong_receipts += u64::from(receipt.as_deref() != Some(paid[0].token.as_bytes()));
    }
    // Nobody requested these.
    found.wrong_entries += entries.values().map(|paid| paid.len() as u64).sum::<u64>();

    let stored = stored_balances(&mut ledger)?;
    let accounts: BTreeSet<_> = balances.keys().chain(stored.keys()).collect();
    let wrong = accounts.into_iter().filter(|account| balances.get(account) != stored.get(account));
    found.wrong_totals = wrong.count() as u64;
    Ok(found)
}

/// What was requested first under each id. What came later under it with another payload has to be
/// noted in the store, and nothing else.
fn compare_requests(
    dir: &Path,
    store: &Store,
    found: &mut Found,
) -> Result<HashMap<i64, Payment>, Failure> {
    let mut requested: HashMap<i64, Payment> = HashMap::new();
    let mut mismatches = BTreeSet::new();
    for n in 0..STREAMS {
        let stream = stream::read(dir, n)?;
        let progress = store.progress(&source(n))?.unwrap_or(0);
        found.wrong_progress += u64::from(progress != stream.len() as u64);
        for payment in stream {
            let first = requested.entry(payment.number()).or_insert(payment);
            if first.payload() != payment.payload() {
                mismatches.insert(mismatch_key(&source(n), payment.position).into_bytes());
            }
        }
    }
    let noted = store.scan_state("mismatch/")?.into_iter().map(|(key, _)| key).collect();
    found.payments = requested.len() as u64;
    found.mismatches = mismatches.len() as u64;
    found.wrong_mismatches = mismatches.symmetric_difference(&noted).count() as u64;
    Ok(requested)
}

/// What the ledger has of a payment, once or more.
struct Entry {
    token: String,
    account: i64,
    amount: i64,
}

fn entries(ledger: &mut Ledger) -> Result<HashMap<i64, Vec<Entry>>, Failure> {
    let mut entries: HashMap<i64, Vec<Entry>> = HashMap::new();
    let mut all = ledger.db().prepare("SELECT payment, token, account, amount FROM entries")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let entry = Entry { token: row.get(1)?, account: row.get(2)?, amount: row.get(3)? };
        entries.entry(row.get(0)?).or_default().push(entry);
    }
    Ok(entries)
}

fn stored_balances(ledger: &mut Ledger) -> Result<BTreeMap<i64, i64>, Failure> {
    let mut all = ledger.db().prepare("SELECT account, amount FROM balances")?;
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
