//! What a bench is told from outside: where, how many, how long.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode, measurement::WallTime};
use tempfile::TempDir;

use super::line_rate::LineRate;

/// Whether everything is to be tried once, small: `cargo bench -- --test`.
pub(crate) fn quick() -> bool {
    env::args().any(|arg| arg == "--test")
}

/// How many ids a window has: what `FIRSTSEEN_BENCH_IDS` says, or one of these.
pub(crate) fn ids(usual: u64, if_quick: u64) -> u64 {
    match env::var("FIRSTSEEN_BENCH_IDS") {
        Ok(ids) => ids.parse().expect("FIRSTSEEN_BENCH_IDS is a number"),
        Err(_) if quick() => if_quick,
        Err(_) => usual,
    }
}

/// Where stores are made: where `FIRSTSEEN_BENCH_DIR` says, or in the system's temporary folder.
pub(crate) fn dir() -> PathBuf {
    env::var_os("FIRSTSEEN_BENCH_DIR").map_or_else(env::temp_dir, PathBuf::from)
}

/// A folder in there, gone when it is dropped.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("firstseen-bench-").tempdir_in(dir()).expect("a folder")
}

/// Nanoseconds a line of the yardstick `L`, which it prints.
pub(crate) fn print_line_rate() -> f64 {
    let (bytes, time) = match quick() {
        true => (1 << 20, Duration::from_millis(5)),
        false => (512 << 20, Duration::from_secs(2)),
    };
    let line_ns = LineRate::new(bytes).grouped_ns(time);
    println!("L = {:.1} M lines/s ({line_ns:.1} ns a line)\n", 1e3 / line_ns);
    line_ns
}

/// A group whose samples are few and of one size, for what takes its time or goes on beside other threads.
pub(crate) fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group
}
