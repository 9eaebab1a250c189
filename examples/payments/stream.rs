//! The streams that requests for payments come from: files of records, a position for each. They
//! deliver at least once: some payments come again, soon or late, in the same stream or another, and
//! neighbours change places. Some come again with another amount, which is somebody's mistake.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::support::random::Rng;

/// How many streams there are. A worker reads each.
pub const STREAMS: u64 = 4;

/// How many accounts are paid to.
const ACCOUNTS: u64 = 500;

/// Among how many payments one is chosen to come again.
const RECENT: usize = 2_000;

const RECORD_LEN: usize = 24;

/// A request for a payment, as it was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Where it stands in its stream.
    pub position: u64,
    /// What it is deduplicated by.
    pub id: [u8; 8],
    pub account: i64,
    pub amount: i64,
}

impl Payment {
    /// The id as a number.
    pub fn number(&self) -> i64 {
        i64::from_be_bytes(self.id)
    }

    /// What must be the same whenever the id comes again.
    pub fn payload(&self) -> [u8; 16] {
        let both = [self.account.to_le_bytes(), self.amount.to_le_bytes()].concat();
        both.try_into().expect("two words")
    }

    fn decode(bytes: &[u8], position: u64) -> Payment {
        let words: [[u8; 8]; 3] =
            std::array::from_fn(|i| bytes[8 * i..8 * (i + 1)].try_into().expect("a word"));
        let [id, account, amount] = words;
        let (account, amount) = (i64::from_le_bytes(account), i64::from_le_bytes(amount));
        Payment { position, id, account, amount }
    }
}

/// All of a stream.
pub fn read(dir: &Path, stream: u64) -> io::Result<Vec<Payment>> {
    let bytes = fs::read(path(dir, stream))?;
    let records = bytes.chunks_exact(RECORD_LEN).zip(0..);
    Ok(records.map(|(bytes, position)| Payment::decode(bytes, position)).collect())
}

/// The name of a stream as a source of the store.
pub fn source(stream: u64) -> String {
    format!("payments/{stream}")
}

fn path(dir: &Path, stream: u64) -> PathBuf {
    dir.join(format!("payments-{stream}"))
}

/// Writes the streams: the same ones for a seed, whatever happens to their readers.
#[derive(Debug)]
pub struct Producer {
    files: Vec<File>,
    rng: Rng,
    payments: i64,
    records: u64,
    /// Payments that may come again, and the stream that each came in.
    recent: Vec<(Payment, u64)>,
}

impl Producer {
    pub fn create(dir: &Path, seed: u64) -> io::Result<Producer> {
        let create = |stream| OpenOptions::new().append(true).create(true).open(path(dir, stream));
        let files = (0..STREAMS).map(create).collect::<io::Result<_>>()?;
        let rng = Rng::new(seed, 0);
        Ok(Producer { files, rng, payments: 0, records: 0, recent: Vec::new() })
    }

    /// How many records were delivered.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Delivers so many records more.
    pub fn deliver(&mut self, records: u64) -> io::Result<()> {
        let mut streams = vec![Vec::new(); STREAMS as usize];
        for _ in 0..records {
            let (payment, stream) = self.next();
            streams[stream as usize].push(payment);
        }
        self.records += records;
        for (file, mut payments) in self.files.iter_mut().zip(streams) {
            for i in 1..payments.len() {
                if self.rng.one_in(10) {
                    payments.swap(i - 1, i);
                }
            }
            let encode = |payment: &Payment| [&payment.id[..], &payment.payload()].concat();
            file.write_all(&payments.iter().flat_map(encode).collect::<Vec<u8>>())?;
        }
        Ok(())
    }

    /// A payment, and the stream that it comes in.
    fn next(&mut self) -> (Payment, u64) {
        match self.recent.len() {
            0 => self.first(),
            _ if self.rng.one_in(4) => self.again(),
            _ => self.first(),
        }
    }

    fn first(&mut self) -> (Payment, u64) {
        let rng = &mut self.rng;
        let account = rng.below(ACCOUNTS) as i64;
        let amount = 1 + rng.below(100_000) as i64;
        let id = self.payments.to_be_bytes();
        let made = (Payment { position: 0, id, account, amount }, rng.below(STREAMS));
        match self.recent.len() {
            RECENT => self.recent[self.payments as usize % RECENT] = made,
            _ => self.recent.push(made),
        }
        self.payments += 1;
        made
    }

    fn again(&mut self) -> (Payment, u64) {
        let rng = &mut self.rng;
        // Half of those that come again do so at once, mostly within one batch.
        let reach = if rng.one_in(2) { 20 } else { RECENT }.min(self.recent.len());
        let newest = self.payments as usize - 1;
        let (payment, stream) = self.recent[(newest - rng.below(reach as u64) as usize) % RECENT];
        // Which of two amounts is the first one is plain only within a stream. So a payment comes
        // again with another amount, or in another stream, but not both.
        if payment.number() % 8 == 0 {
            let more = if rng.one_in(2) { 1 + rng.below(9) as i64 } else { 0 };
            (Payment { amount: payment.amount + more, ..payment }, stream)
        } else {
            (payment, if rng.one_in(3) { rng.below(STREAMS) } else { stream })
        }
    }
}
