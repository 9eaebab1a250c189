//! What can be asked for.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures what takes long, needs a death or wants the tail.
#[derive(Debug, Parser)]
pub struct Args {
    /// Where stores and files are made.
    #[arg(long, global = true)]
    pub dir: Option<PathBuf>,

    /// The store's memory budget, in bytes.
    #[arg(long, global = true, default_value_t = 1 << 30)]
    pub memory: u64,

    /// How many ids a call presents.
    #[arg(long, global = true, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=65536))]
    pub batch: u64,

    #[command(subcommand)]
    pub what: What,
}

#[derive(Debug, Subcommand)]
pub enum What {
    /// The machine's limits: random lines, writes, syncs, random reads.
    Limits(Limits),
    /// New ids, for so long that sealing, merging and expiry happen all the time.
    Sustained(Sustained),
    /// The time from an opening after a SIGKILL to the first verdict, the files in the page cache.
    Recovery(Recovery),
    /// New ids and duplicates over a window that memory does not hold.
    Cold(Cold),
    /// New ids from one thread and from two, with nothing in the background.
    Threads(Threads),
    /// Fills a store and waits to be killed.
    #[command(hide = true)]
    Die(Die),
}

#[derive(Debug, clap::Args)]
pub struct Limits {
    /// The size of the file that is written and read.
    #[arg(long, default_value_t = 2 << 30, value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub bytes: u64,

    /// How long each is measured, in milliseconds.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub millis: u64,
}

#[derive(Debug, clap::Args)]
pub struct Sustained {
    /// How many ids there are in all.
    #[arg(long, default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub ids: u64,

    /// How long `L` is measured before, in milliseconds.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub millis: u64,

    /// How many of them a window holds; their time goes on accordingly.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub window: u64,

    /// The share of ids, in percent, that repeat one of the last half of a window.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicates: u8,
}

#[derive(Debug, clap::Args)]
pub struct Recovery {
    /// How many ids the store has when its process is killed.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub ids: u64,
}

#[derive(Debug, clap::Args)]
pub struct Cold {
    /// How many ids the window holds.
    #[arg(long, default_value_t = 100_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub ids: u64,

    /// Reads runs by position and not through a mapping.
    #[arg(long)]
    pub positioned: bool,
}

#[derive(Debug, clap::Args)]
pub struct Threads {
    /// How many ids are presented in a round.
    #[arg(long, default_value_t = 4_000_000, value_parser = clap::value_parser!(u64).range(1..=1 << 28))]
    pub ids: u64,

    /// How often each number of threads is measured; the median counts.
    #[arg(long, default_value_t = 5, value_parser = rounds)]
    pub rounds: usize,

    /// From how many threads. Rates are held against the first.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = rounds)]
    pub threads: Vec<usize>,

    /// How long `L` is measured before, in milliseconds.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub millis: u64,
}

fn rounds(given: &str) -> Result<usize, String> {
    match given.parse() {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err("a number from 1 to 64".to_owned()),
    }
}

#[derive(Debug, clap::Args)]
pub struct Die {
    pub store: PathBuf,
    pub ids: u64,
    pub memory: u64,
    pub batch: u64,
}
