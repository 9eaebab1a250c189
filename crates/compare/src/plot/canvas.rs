//! The sheet that all pictures are drawn on.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, IntoDrawingArea, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, WHITE};

use super::style::{FAINT, TEXT};
use crate::peer::Result;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const WIDTH: u32 = 900;
/// What the title and the line below it take.
pub(super) const HEAD: u32 = 66;

/// What is above a picture, and what it says of itself to those who do not see it.
pub(super) struct Heading {
    pub(super) title: String,
    pub(super) below: String,
    /// From what it was drawn.
    pub(super) source: String,
}

/// A picture with its heading. White also where the page is dark.
pub(super) fn svg(
    height: u32,
    heading: &Heading,
    draw: impl FnOnce(&Area) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw_text(&heading.title, &bold(20, TEXT), (20, 14))?;
    area.draw_text(&heading.below, &text(14, FAINT), (20, 40))?;
    draw(&area)?;
    area.present()?;
    drop(area);
    Ok(described(&svg, heading))
}

/// With the title and the source as elements of the file.
fn described(svg: &str, heading: &Heading) -> String {
    let (open, rest) = svg.split_once('>').expect("the file begins with an element");
    let (title, source) = (escaped(&heading.title), escaped(&heading.source));
    format!("{open} role=\"img\">\n<title>{title}</title>\n<desc>{source}</desc>{rest}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Letters of so many pixels; plotters counts a little otherwise.
pub(super) fn text(pixels: u32, color: RGBColor) -> TextStyle<'static> {
    letters(pixels, FontStyle::Normal, color)
}

pub(super) fn bold(pixels: u32, color: RGBColor) -> TextStyle<'static> {
    letters(pixels, FontStyle::Bold, color)
}

fn letters(pixels: u32, style: FontStyle, color: RGBColor) -> TextStyle<'static> {
    let font = ("sans-serif", f64::from(pixels) * 1.24).into_font().style(style);
    TextStyle { color: color.to_backend_color(), ..TextStyle::from(font) }
}

pub(super) const LEFT: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
pub(super) const RIGHT: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };
pub(super) const ABOVE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Bottom };

pub(super) fn alpha(color: RGBColor, share: f64) -> plotters::style::RGBAColor {
    color.mix(share)
}
