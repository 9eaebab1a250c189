//! The fault classes, one a file.

mod ids;

use crate::class::Class;

/// All of them, the cheapest and most telling first.
pub(crate) const ALL: &[&'static dyn Class] = &[&ids::Ids];

/// Says which there are.
pub(crate) fn list() {
    for class in ALL {
        println!("{:<14} {}", class.name(), class.about());
    }
}
