//! What was done, against what should have been.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use firstseen_kafka::BoxError;
use serde_json::{Value, json};

use crate::campaign::Tally;
use crate::groups;
use crate::ledger::Ledger;
use crate::stream::{Order, Stream};
use crate::ways::{BATCH, TOTAL, Way, order_key, store, words};

/// How many ids are named of each kind of fault.
const NAMED: usize = 5;

/// What one way has done.
#[derive(Debug)]
pub struct Found {
    way: Way,
    /// How often each order was worked on that was, by its place in the stream.
    times: HashMap<usize, u64>,
    /// What else there is to be told, and whether it is a fault if it is not zero.
    more: Vec<(&'static str, u64)>,
    /// What was done for nothing that was ordered, or for another amount.
    wrong: u64,
}

impl Found {
    fn new(way: Way, stream: &Stream, ids: impl IntoIterator<Item = String>) -> Found {
        let mut found = Found { way, times: HashMap::new(), more: Vec::new(), wrong: 0 };
        let places: HashMap<&str, usize> =
            stream.orders.iter().enumerate().map(|(i, order)| (order.id.as_str(), i)).collect();
        for id in ids {
            match places.get(id.as_str()) {
                Some(&place) => *found.times.entry(place).or_default() += 1,
                None => found.wrong += 1,
            }
        }
        found
    }

    fn lost<'a>(&self, stream: &'a Stream) -> Vec<&'a Order> {
        let orders = stream.orders.iter().enumerate();
        orders.filter(|(i, _)| !self.times.contains_key(i)).map(|(_, order)| order).collect()
    }

    fn doubled<'a>(&self, stream: &'a Stream) -> Vec<&'a Order> {
        let doubled = self.times.iter().filter(|(_, times)| **times > 1);
        doubled.map(|(&i, _)| &stream.orders[i]).collect()
    }

    /// Whether the way has kept its promise; names what is wrong.
    pub fn judge(&self, stream: &Stream) -> bool {
        let (lost, doubled) = (self.lost(stream), self.doubled(stream));
        let may_double = self.way == Way::Filter;
        let more = self.more.iter().map(|(_, n)| n).sum::<u64>() + self.wrong;
        if self.way == Way::Article
            || lost.is_empty() && (doubled.is_empty() || may_double) && more == 0
        {
            return true;
        }
        let way = self.way.name();
        for (what, orders) in [("lost", lost), ("doubled", doubled)] {
            for order in orders.iter().take(NAMED) {
                eprintln!("{way}: {what} {} of partition {}", order.id, order.partition);
            }
        }
        eprintln!("{way}: {:?}, {} for nothing that was ordered", self.more, self.wrong);
        false
    }

    /// As it is told in the report.
    pub fn report(&self, stream: &Stream) -> Value {
        let mut told = json!({
            "lost": self.lost(stream).len(),
            "doubled": self.doubled(stream).len(),
        });
        for (what, n) in &self.more {
            told[what] = json!(n);
        }
        told
    }
}

/// Looks at what each way has left.
pub fn look(
    dir: &Path,
    brokers: &str,
    stream: &Stream,
    tally: &Tally,
) -> Result<Vec<Found>, BoxError> {
    let entries = Ledger::open(dir)?.entries()?;
    let amounts: HashMap<&str, u64> =
        stream.orders.iter().map(|order| (order.id.as_str(), order.amount)).collect();
    let wrong_amounts =
        entries.iter().filter(|(id, amount)| amounts.get(id.as_str()) != Some(amount)).count();
    let ids = entries.into_iter().map(|(id, _)| id);
    let mut in_sink = Found::new(Way::InSink, stream, ids);
    in_sink.more.push(("wrong_amounts", wrong_amounts as u64));
    let receipts = groups::receipts(brokers)?;
    Ok(vec![
        in_store(dir, stream)?,
        in_sink,
        Found::new(Way::Transform, stream, receipts),
        appended(dir, stream, Way::Filter, &tally.killed)?,
        appended(dir, stream, Way::Article, &tally.killed)?,
    ])
}

/// Opens the stores: each order counted once, and the totals of each partition.
fn in_store(dir: &Path, stream: &Stream) -> Result<Found, BoxError> {
    let mut found = Found::new(Way::InStore, stream, []);
    let mut truth: HashMap<i32, [u64; 2]> = HashMap::new();
    for order in &stream.orders {
        let [orders, sum] = truth.entry(order.partition).or_default();
        *orders += 1;
        *sum += order.amount;
    }
    let mut wrong_totals = 0;
    for (partition, total) in truth {
        let folder = Way::InStore.folder(dir).join(format!("orders-{partition}.seen"));
        let store = store().open(folder)?;
        wrong_totals += u64::from(words(store.state(TOTAL.as_bytes())?) != total);
        for (i, order) in stream.orders.iter().enumerate() {
            let [times, _] = words(store.state(order_key(order.id.as_bytes()))?);
            // An order in the store of another partition is one more that was done.
            if times > 0 {
                *found.times.entry(i).or_default() += times;
            }
        }
        store.close()?;
    }
    found.more.push(("wrong_totals", wrong_totals));
    Ok(found)
}

/// Reads what all lives have appended. What is doubled can be explained where all lives but one that did it were
/// killed, and where each of those had no more than a batch in hand.
fn appended(
    dir: &Path,
    stream: &Stream,
    way: Way,
    killed: &HashSet<String>,
) -> Result<Found, BoxError> {
    let mut lives: HashMap<String, Vec<String>> = HashMap::new();
    for entry in fs::read_dir(way.folder(dir).join("done"))? {
        let entry = entry?;
        let life = entry.file_name().to_string_lossy().into_owned();
        let text = fs::read_to_string(entry.path())?;
        // The last line may have been cut off by a kill: then it was not done.
        for id in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            lives.entry(id.to_owned()).or_default().push(life.clone());
        }
    }
    let (mut doubles, mut unexplained) = (0, 0);
    for lives in lives.values().filter(|lives| lives.len() > 1) {
        let dead: HashSet<&String> = lives.iter().filter(|life| killed.contains(*life)).collect();
        doubles += lives.len() - 1;
        unexplained += (lives.len() - 1).saturating_sub(dead.len());
    }
    let over = doubles.saturating_sub(killed.len() * BATCH);
    let ids = lives.into_iter().flat_map(|(id, lives)| vec![id; lives.len()]);
    let mut found = Found::new(way, stream, ids);
    if way == Way::Filter {
        found.more.push(("unexplained", unexplained.max(over) as u64));
    }
    Ok(found)
}
