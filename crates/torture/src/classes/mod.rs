//! The fault classes, one a file.

mod crash;
#[cfg(target_os = "linux")]
mod eio;
mod error;
mod figures;
#[cfg(target_os = "linux")]
mod full;
mod histories;
mod ids;
mod kill;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod power;
mod race;
mod recovery;
mod rot;
#[cfg(target_os = "linux")]
mod sigbus;
mod space;
mod threads;

use crate::class::Class;

/// All of them, the cheapest and most telling first.
pub(crate) const ALL: &[&'static dyn Class] = &[
    &crash::Crash,
    &recovery::Recovery,
    &error::Error,
    &space::Space,
    &rot::Rot,
    &histories::Histories,
    &threads::Storm,
    &threads::Threads,
    &race::Race,
    &ids::Ids,
    &figures::Figures,
    &kill::Kill,
    #[cfg(target_os = "linux")]
    &power::Power,
    #[cfg(target_os = "linux")]
    &full::Full,
    #[cfg(target_os = "linux")]
    &eio::Eio,
    #[cfg(target_os = "linux")]
    &memory::Memory,
    #[cfg(target_os = "linux")]
    &sigbus::Sigbus,
];

/// Says which there are.
pub(crate) fn list() {
    for class in ALL {
        println!("{:<14} {}", class.name(), class.about());
    }
}
