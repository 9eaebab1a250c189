//! The streams that orders come from: files of records, one after the other, a position for each. They
//! deliver at least once: some orders come again, soon or late, in the same stream or another, and
//! neighbours change places.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use firstseen::Record;

use crate::support::random::Rng;

/// How many streams there are. A consumer thread reads each.
pub const STREAMS: u64 = 4;

/// How many customers share them.
const CUSTOMERS: u64 = 2_000;

/// Among how many orders one is chosen to come again.
const RECENT: usize = 5_000;

const RECORD_LEN: usize = 24;

/// An order, as it was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Where it stands in its stream.
    pub position: u64,
    /// What it is deduplicated by.
    pub id: [u8; 8],
    pub customer: u64,
    pub amount: u64,
}

impl Record for Order {
    fn position(&self) -> u64 {
        self.position
    }

    fn id(&self) -> &[u8] {
        &self.id
    }
}

/// One of the streams.
#[derive(Debug)]
pub struct Stream {
    file: File,
}

impl Stream {
    pub fn open(dir: &Path, stream: u64) -> io::Result<Stream> {
        Ok(Stream { file: File::open(path(dir, stream))? })
    }

    /// How many records it has.
    pub fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len() / RECORD_LEN as u64)
    }

    /// Up to `count` records from `position` on.
    pub fn read(&mut self, position: u64, count: u64) -> io::Result<Vec<Order>> {
        let end = self.len()?.min(position.saturating_add(count));
        let mut bytes = vec![0; end.saturating_sub(position) as usize * RECORD_LEN];
        self.file.seek(SeekFrom::Start(position * RECORD_LEN as u64))?;
        self.file.read_exact(&mut bytes)?;
        let records = bytes.chunks_exact(RECORD_LEN).zip(position..);
        Ok(records.map(|(bytes, position)| decode(bytes, position)).collect())
    }
}

/// The name of a stream's file, and of the source of that stream in the store.
pub fn source(stream: u64) -> String {
    format!("orders/{stream}")
}

fn path(dir: &Path, stream: u64) -> PathBuf {
    dir.join(format!("orders-{stream}"))
}

fn decode(bytes: &[u8], position: u64) -> Order {
    let words: [[u8; 8]; 3] = std::array::from_fn(|i| {
        bytes[8 * i..8 * (i + 1)].try_into().expect("a word has eight bytes")
    });
    let [id, customer, amount] = words;
    let (customer, amount) = (u64::from_le_bytes(customer), u64::from_le_bytes(amount));
    Order { position, id, customer, amount }
}

/// Writes the streams: the same ones for a seed, whatever happens to their readers.
#[derive(Debug)]
pub struct Producer {
    files: Vec<File>,
    rng: Rng,
    orders: u64,
    records: u64,
    /// Orders that may come again, and the stream that each came in.
    recent: Vec<(Order, u64)>,
}

impl Producer {
    pub fn create(dir: &Path, seed: u64) -> io::Result<Producer> {
        let create = |stream| OpenOptions::new().append(true).create(true).open(path(dir, stream));
        let files = (0..STREAMS).map(create).collect::<io::Result<_>>()?;
        let recent = Vec::with_capacity(RECENT);
        Ok(Producer { files, rng: Rng::new(seed, 0), orders: 0, records: 0, recent })
    }

    /// How many records were delivered.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Delivers so many records more.
    pub fn deliver(&mut self, records: u64) -> io::Result<()> {
        let mut streams = vec![Vec::new(); STREAMS as usize];
        for _ in 0..records {
            let (order, stream) = self.next();
            streams[stream as usize].push(order);
        }
        self.records += records;
        for (file, mut orders) in self.files.iter_mut().zip(streams) {
            for i in 1..orders.len() {
                if self.rng.one_in(10) {
                    orders.swap(i - 1, i);
                }
            }
            let encode = |order: Order| {
                [order.id, order.customer.to_le_bytes(), order.amount.to_le_bytes()].concat()
            };
            file.write_all(&orders.into_iter().flat_map(encode).collect::<Vec<u8>>())?;
        }
        Ok(())
    }

    /// An order, and the stream that it comes in.
    fn next(&mut self) -> (Order, u64) {
        let rng = &mut self.rng;
        if !self.recent.is_empty() && rng.one_in(4) {
            // Half of those that come again do so at once, mostly within one batch.
            let reach = if rng.one_in(2) { 50 } else { self.recent.len() };
            let back = 1 + rng.below(reach.min(self.recent.len()) as u64);
            let newest = self.orders as usize - 1;
            let (order, stream) = self.recent[(newest + 1 - back as usize) % RECENT];
            let stream = if rng.one_in(5) { rng.below(STREAMS) } else { stream };
            return (order, stream);
        }
        let (customer, amount) = (rng.below(CUSTOMERS), 1 + rng.below(100_000));
        let order = Order { position: 0, id: self.orders.to_be_bytes(), customer, amount };
        let stream = rng.below(STREAMS);
        match self.recent.len() {
            RECENT => self.recent[self.orders as usize % RECENT] = (order, stream),
            _ => self.recent.push((order, stream)),
        }
        self.orders += 1;
        (order, stream)
    }
}
