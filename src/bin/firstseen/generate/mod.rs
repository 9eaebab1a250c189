//! `firstseen generate`: a stream as an at-least-once system delivers it.
//!
//! - [`plan`]: which record stands where: fresh ones, redelivered ones, out of order
//! - [`record`]: what a record says, as a pure function of the seed and its number
//!
//! Nothing is remembered, since any record can be made again from its number: the stream may be as
//! long as one likes. One seed gives one stream, whatever the machine.

mod plan;
mod random;
mod record;

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::duration;
use crate::fail::{Failure, Result};
use crate::record::time::{self, Unit};
use plan::{Kind, Plan};
use record::Writer;

/// Bytes written at once.
const BLOCK: usize = 256 << 10;

const AFTER: &str = "\
Each record is an order: an id, the time it was placed (ts), a customer and an amount. Some are \
delivered again later, byte for byte the same. The summary on standard error is a JSON object; its \
'unique' is what a perfect dedup must print.

Examples:
  firstseen generate --count 1000000 | firstseen dedup --json /id --count
  firstseen generate -n 100000 --format csv | firstseen dedup --csv -k id > once.csv
  firstseen generate -n 5000000 --rate 5000 --age 2h | firstseen dedup --json /id --time /ts --window 1h";

/// Write a stream of orders with redeliveries, to try things at scale
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct GenerateArgs {
    /// Records to write, redeliveries included
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1_000_000)]
    count: u64,

    /// The same seed gives the same stream
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// The share of records that are redeliveries, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    duplicates: f64,

    /// The mean age of a record when it is redelivered; ages are spread exponentially, up to ten
    /// times this
    #[arg(long, default_value = "10m", value_parser = duration::parse)]
    age: Duration,

    /// How far records may be out of order: they are shuffled within slices of this length
    #[arg(long, value_name = "SLICE", default_value = "0s", value_parser = duration::parse)]
    reorder: Duration,

    /// New orders for each second of the time in the records
    #[arg(long, value_name = "N", default_value_t = 1000.0, value_parser = rate)]
    rate: f64,

    /// The time of the first order
    #[arg(long, value_name = "TIME", default_value = "2026-01-01T00:00:00Z")]
    start: String,

    /// The form of a record
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
}

/// The form of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object a line
    Ndjson,
    /// CSV with a header
    Csv,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share lies between 0 and 1".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (1e-6..=1e9).contains(rate));
    rate.ok_or_else(|| "a rate lies between 0.000001 and 1000000000".to_owned())
}

pub(crate) fn run(args: &GenerateArgs) -> Result<()> {
    let start = time::parse(args.start.as_bytes(), Unit::Auto)
        .map_err(|why| Failure::Usage(format!("--start '{}' {why}", args.start)))?;
    let mut plan = Plan::new(args.seed, args.duplicates, args.count)
        .ages(args.age.as_secs_f64() * args.rate)
        .slices(args.reorder.as_secs_f64() * args.rate);
    let mut writer = Writer::new(args.seed, args.format, start, args.rate);
    let mut out = io::stdout().lock();
    let mut block = Vec::with_capacity(BLOCK + 1024);
    let mut fresh = 0_u64;
    writer.header(&mut block);
    for _ in 0..args.count {
        let (kind, number) = plan.next();
        fresh += u64::from(kind == Kind::Fresh);
        writer.record(number, &mut block);
        if block.len() >= BLOCK {
            out.write_all(&block)?;
            block.clear();
        }
    }
    out.write_all(&block)?;
    out.flush()?;
    let summary = json!({
        "records": args.count,
        "unique": fresh,
        "duplicates": args.count - fresh,
        "oldest_redelivery_seconds": plan.oldest() as f64 / args.rate,
        "seed": args.seed,
    });
    // A closed standard error changes nothing about the stream that was written.
    let _ = writeln!(io::stderr(), "{summary}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_rates_have_bounds() {
        assert_eq!(share("0.5"), Ok(0.5));
        assert!(share("1.5").is_err() && share("x").is_err() && share("NaN").is_err());
        assert!(rate("0").is_err() && rate("1e3").is_ok());
    }
}
