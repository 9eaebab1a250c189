//! The processes that a campaign kills: each does what its errand says.

pub(crate) mod look;
pub(crate) mod pressure;

use std::process::ExitCode;

use self::look::Look;
use self::pressure::Pressure;
use crate::real::setting::Setting;
use crate::real::worker;

/// Does an errand.
pub(crate) fn run(errand: &str) -> ExitCode {
    let (kind, rest) = errand.split_once(' ').unwrap_or((errand, ""));
    let done = match kind {
        "work" => Setting::of_errand(rest).map(|setting| worker::work(&setting)),
        "pressure" => Pressure::of_errand(rest).map(|pressure| pressure.work()),
        "look" => Look::of_errand(rest).map(|look| look.work()),
        _ => None,
    };
    done.unwrap_or_else(|| {
        eprintln!("`{errand}` is no errand");
        ExitCode::FAILURE
    })
}
