//! What the machine can do: the figures that others are held against.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::args::{self, Args};
use crate::feed::Folder;
use crate::support::keys::Random;
use crate::support::line_rate::LineRate;
use crate::support::machine;
use crate::tail::Tail;

const PAGE: u64 = 4096;
const MIB: usize = 1 << 20;

/// As direct reads want it.
#[derive(Clone)]
#[repr(align(4096))]
struct Page([u8; PAGE as usize]);

pub fn run(args: &Args, limits: &args::Limits) -> Result<(), Box<dyn Error>> {
    let time = Duration::from_millis(limits.millis);
    println!("{}", json!({"what": "L", "lines_per_s": line_rate(time), "load": machine::load()}));
    let folder = Folder::new(args)?;
    let path = folder.store();
    println!("{}", json!({"what": "sequential write", "bytes_per_s": write(&path, limits.bytes)?}));
    for bytes in [4 << 10, 16 << 10] {
        let (rate, tail) = append(&path.with_extension("log"), bytes, time)?;
        let what = "append and fdatasync";
        println!("{}", json!({"what": what, "bytes": bytes, "per_s": rate, "tail": tail.report()}));
    }
    for depth in [1, 32] {
        let (rate, direct) = random_reads(&path, limits.bytes, depth, time)?;
        let what = "random 4 KiB reads";
        println!("{}", json!({"what": what, "depth": depth, "direct": direct, "per_s": rate}));
    }
    Ok(())
}

/// `L`: random lines a second, group-prefetched, on huge pages.
pub fn line_rate(time: Duration) -> f64 {
    let bytes = if time < Duration::from_millis(100) { 1 << 20 } else { 512 << 20 };
    (1e9 / LineRate::new(bytes).grouped_ns(time)).round()
}

/// Bytes a second, with the sync at the end.
fn write(path: &Path, bytes: u64) -> io::Result<f64> {
    let mut file = File::create(path)?;
    let chunk: Vec<u8> = (0..MIB).map(|i| (i * 31) as u8).collect();
    let start = Instant::now();
    let chunks = bytes / MIB as u64;
    for _ in 0..chunks {
        file.write_all(&chunk)?;
    }
    file.sync_data()?;
    Ok(((chunks * MIB as u64) as f64 / start.elapsed().as_secs_f64()).round())
}

/// Appends a second, each synced.
fn append(path: &Path, bytes: usize, time: Duration) -> io::Result<(f64, Tail)> {
    let mut file = File::create(path)?;
    let (chunk, mut tail, mut count) = (vec![7; bytes], Tail::default(), 0);
    let start = Instant::now();
    while start.elapsed() < time {
        let begun = Instant::now();
        file.write_all(&chunk)?;
        file.sync_data()?;
        tail.add(begun.elapsed());
        count += 1;
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok((rate.round(), tail))
}

/// Reads a second with so many threads, and whether they went past the page cache.
fn random_reads(path: &Path, bytes: u64, depth: u64, time: Duration) -> io::Result<(f64, bool)> {
    let (file, direct) = match open_direct(path) {
        Some(file) => (file, true),
        None => (File::open(path)?, false),
    };
    let start = Instant::now();
    let read = |seed: u64| -> io::Result<u64> {
        let (mut random, mut page, mut count) = (Random(seed), Page([0; PAGE as usize]), 0);
        while start.elapsed() < time {
            let at = random.word() % (bytes / MIB as u64 * MIB as u64 / PAGE) * PAGE;
            read_at(&file, &mut page.0, at)?;
            count += 1;
        }
        Ok(count)
    };
    let reads: io::Result<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..depth).map(|seed| scope.spawn(move || read(seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a reader ends")).sum()
    });
    Ok(((reads? as f64 / start.elapsed().as_secs_f64()).round(), direct))
}

/// `None` where there are no direct reads, as on tmpfs.
#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    std::fs::OpenOptions::new().read(true).custom_flags(direct).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_: &Path) -> Option<File> {
    None
}

#[cfg(unix)]
fn read_at(file: &File, page: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, page, at)
}

#[cfg(windows)]
fn read_at(file: &File, page: &mut [u8], at: u64) -> io::Result<()> {
    std::os::windows::fs::FileExt::seek_read(file, page, at).map(drop)
}
