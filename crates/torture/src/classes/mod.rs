//! The fault classes, one a file.

#[cfg(target_os = "linux")]
mod eio;
#[cfg(target_os = "linux")]
mod full;
mod ids;
mod kill;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod power;
#[cfg(target_os = "linux")]
mod sigbus;

use crate::class::Class;

/// All of them, the cheapest and most telling first.
pub(crate) const ALL: &[&'static dyn Class] = &[
    &ids::Ids,
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
