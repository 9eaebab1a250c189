//! What was measured, as lines of JSON or as a table.

use std::io::{self, Write};

use serde_json::json;

use super::Measurement;
use super::input::Input;

pub(super) fn json_lines(
    input: &Input,
    measurements: &[Measurement],
    out: &mut impl Write,
) -> io::Result<()> {
    let lines = input.lines as f64;
    let rounded = |value: f64, per: f64| (value * per).round() / per;
    for of in measurements {
        let line = json!({
            "what": "command",
            "peer": of.tool.name(),
            "workload": format!("{} % duplicates", input.duplicates),
            "n": input.lines,
            "distinct": input.distinct(),
            "durability": of.tool.durability(),
            "lines_per_s": (lines / of.wall_s).round() as u64,
            "ns_per_line": rounded(of.wall_s * 1e9 / lines, 10.0),
            "user_s": rounded(of.user_s, 1e3),
            "system_s": rounded(of.system_s, 1e3),
            "peak_bytes": of.peak_bytes as u64,
        });
        writeln!(out, "{line}")?;
    }
    out.flush()
}

pub(super) fn table(
    input: &Input,
    measurements: &[Measurement],
    out: &mut impl Write,
) -> io::Result<()> {
    let (lines, distinct) = (input.lines, input.distinct());
    writeln!(out, "{lines} lines, {distinct} different ones:\n")?;
    writeln!(
        out,
        "| command | M lines/s | s | user | system | peak MB |\n|---|---|---|---|---|---|"
    )?;
    let Some(first) = measurements.first() else { return out.flush() };
    for of in measurements {
        let rate = lines as f64 / of.wall_s / 1e6;
        let times = if of.tool.name() == first.tool.name() {
            String::new()
        } else {
            format!(" ({:.2}x)", of.wall_s / first.wall_s)
        };
        writeln!(
            out,
            "| {} | {rate:.2}{times} | {:.2} | {:.2} | {:.2} | {:.0} |",
            of.tool.name(),
            of.wall_s,
            of.user_s,
            of.system_s,
            of.peak_bytes / 1e6,
        )?;
    }
    writeln!(out)?;
    out.flush()
}
