//! What the store should hold, made from the streams alone, held against what it holds.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use firstseen::Store;

use crate::support::Failure;
use crate::{Account, STREAMS, Stream, customer_key, source};

/// How the store differs from the streams.
#[derive(Debug, Default)]
pub struct Found {
    /// Orders that were delivered, once or more.
    pub orders: u64,
    /// Customers whose number of orders or total is not that of the streams.
    pub wrong_totals: u64,
    /// How many orders of customers are missing in their counts.
    pub lost: u64,
    /// How many their counts have too many.
    pub doubled: u64,
    /// Orders that the store does not know, or whose receipt is missing or another order's.
    pub wrong_receipts: u64,
    /// Streams that were not read to their end, or beyond it.
    pub wrong_progress: u64,
}

/// Reads the streams to their ends and compares.
///
/// The receipt of an order is the number that it has among those of its customer. So with every order
/// counted once the receipts of a customer are the numbers from one to the count of its orders, each once:
/// an order that is lost and another that is doubled do not make up for each other.
pub fn compare(dir: &Path, store: &Store) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut orders = HashMap::new();
    for n in 0..STREAMS {
        let mut stream = Stream::open(dir, n)?;
        let len = stream.len()?;
        let delivered = stream.read(0, len)?;
        orders.extend(delivered.into_iter().map(|order| (order.id, order)));
        found.wrong_progress += u64::from(store.progress(&source(n))?.unwrap_or(0) != len);
    }
    found.orders = orders.len() as u64;

    let mut accounts: HashMap<u64, Account> = HashMap::new();
    let mut receipts: HashMap<u64, HashSet<u64>> = HashMap::new();
    let ids: Vec<_> = orders.keys().collect();
    for ((id, order), known) in orders.iter().zip(store.contains(&ids)?) {
        let account = accounts.entry(order.customer).or_default();
        account.orders += 1;
        account.total += order.amount;
        if let Some(receipt) = store.outcome(id)?.filter(|_| known) {
            let number = u64::from_le_bytes(receipt.as_slice().try_into()?);
            receipts.entry(order.customer).or_default().insert(number);
        }
    }
    for (customer, account) in &accounts {
        let stored = Account::from(store.state(customer_key(*customer))?);
        found.wrong_totals += u64::from(stored != *account);
        found.lost += account.orders.saturating_sub(stored.orders);
        found.doubled += stored.orders.saturating_sub(account.orders);
        let right = |number: &&u64| (1..=account.orders).contains(number);
        let right = receipts.get(customer).map_or(0, |all| all.iter().filter(right).count());
        found.wrong_receipts += account.orders - right as u64;
    }
    let customers = store.scan_state("customer/")?.len();
    found.wrong_totals += customers.saturating_sub(accounts.len()) as u64;
    Ok(found)
}
