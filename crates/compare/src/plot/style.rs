//! Colours: of the set by Okabe and Ito, which colour-blind readers can tell apart too. Ours stands out, sets
//! in memory are grey.

use plotters::style::RGBColor;

use crate::peer::Durability;

pub(super) const OURS: RGBColor = RGBColor(0, 114, 178);
pub(super) const TEXT: RGBColor = RGBColor(40, 40, 40);
pub(super) const FAINT: RGBColor = RGBColor(100, 100, 100);
pub(super) const GRID: RGBColor = RGBColor(215, 215, 215);
pub(super) const THIN: RGBColor = RGBColor(240, 240, 240);
/// A second line of our own.
pub(super) const SECOND: RGBColor = RGBColor(213, 94, 0);
/// Bars of others.
pub(super) const OTHERS: RGBColor = RGBColor(150, 150, 150);
const MEMORY: RGBColor = RGBColor(130, 130, 130);

const FAMILIES: [(&str, RGBColor); 7] = [
    ("fjall", RGBColor(213, 94, 0)),
    ("lmdb", RGBColor(0, 158, 115)),
    ("redb", RGBColor(204, 121, 167)),
    ("sqlite", RGBColor(230, 159, 0)),
    ("sled", RGBColor(86, 180, 233)),
    ("rocksdb", RGBColor(0, 0, 0)),
    ("redis", RGBColor(153, 153, 51)),
];

pub(super) fn is_ours(peer: &str) -> bool {
    peer.starts_with("firstseen")
}

/// Half way to white.
pub(super) fn pale(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    let half = |part: u8| part / 2 + 127;
    RGBColor(half(red), half(green), half(blue))
}

/// One colour for all ways of setting a peer up.
pub(super) fn color(peer: &str, durability: Durability) -> RGBColor {
    if is_ours(peer) {
        return OURS;
    }
    if durability == Durability::MemoryOnly {
        return MEMORY;
    }
    let family = FAMILIES.iter().find(|(family, _)| peer.contains(family));
    family.map_or(TEXT, |(_, color)| *color)
}
