//! The fault classes, one a file.

mod crash;
mod error;
mod histories;
mod ids;
mod recovery;
mod rot;
mod threads;

use crate::class::Class;

/// All of them, the cheapest and most telling first.
pub(crate) const ALL: &[&'static dyn Class] = &[
    &crash::Crash,
    &recovery::Recovery,
    &error::Error,
    &rot::Rot,
    &histories::Histories,
    &threads::Storm,
    &threads::Threads,
    &ids::Ids,
];

/// Says which there are.
pub(crate) fn list() {
    for class in ALL {
        println!("{:<14} {}", class.name(), class.about());
    }
}
