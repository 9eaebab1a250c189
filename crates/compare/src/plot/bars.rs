//! Bars side by side, in groups, the longest of a group first.

use plotters::chart::ChartBuilder;
use plotters::prelude::Rectangle;
use plotters::style::Color;

use super::axis::Axis;
use super::canvas::{self, Area, HEAD, Heading, LEFT, RIGHT, bold, text};
use super::style::{self, FAINT, GRID, OTHERS, OURS, TEXT, THIN, is_ours};
use super::words::three;
use crate::peer::Result;

/// Pixels for a bar's name, for a row, and for what is below them.
const NAMES: u32 = 170;
const ROW: u32 = 26;
const BELOW: u32 = 60;
/// Of a row, left free above and below.
const FREE: f64 = 0.12;

/// A peer: one value, or two that share its row.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
}

/// Bars that may be compared with each other.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) bars: Vec<Bar>,
}

pub(super) struct Bars {
    pub(super) heading: Heading,
    pub(super) axis: Axis,
    pub(super) groups: Vec<Group>,
}

impl Bars {
    pub(super) fn svg(&self) -> Result<String> {
        let height = HEAD + self.rows() as u32 * ROW + BELOW;
        canvas::svg(height, &self.heading, |area| self.draw(area))
    }

    /// A group's title takes one too.
    fn rows(&self) -> usize {
        self.groups.iter().map(|group| 1 + group.bars.len()).sum()
    }

    fn draw(&self, area: &Area) -> Result<()> {
        let mut chart = ChartBuilder::on(area)
            .margin_top(HEAD)
            .margin_left(NAMES)
            .margin_bottom(12)
            .margin_right(70)
            .x_label_area_size(48)
            .build_cartesian_2d(self.axis.coord(), 0.0..self.rows() as f64)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .bold_line_style(GRID)
            .light_line_style(THIN)
            .axis_style(GRID)
            .x_label_formatter(&|at| self.axis.label_at(*at))
            .label_style(text(13, TEXT))
            .axis_desc_style(text(14, TEXT))
            .x_desc(&self.axis.title)
            .draw()?;
        let mut top = self.rows() as f64;
        for group in &self.groups {
            let middle = chart.backend_coord(&(self.axis.begin(), top - 0.5));
            area.draw_text(group.title, &bold(13, FAINT).pos(LEFT), (20, middle.1))?;
            top -= 1.0;
            for bar in &group.bars {
                let (left, middle) = chart.backend_coord(&(self.axis.begin(), top - 0.5));
                let (color, letters) = match is_ours(&bar.name) {
                    true => (OURS, bold(13, OURS)),
                    false => (OTHERS, text(13, TEXT)),
                };
                area.draw_text(&bar.name, &letters.pos(RIGHT), (left - 8, middle))?;
                let high = (1.0 - 2.0 * FREE) / bar.values.len() as f64;
                for (at, &value) in bar.values.iter().enumerate() {
                    // What stands above another of its row is paler.
                    let last = at + 1 == bar.values.len();
                    let fill = if last { color } else { style::pale(color) }.filled();
                    let upper = top - FREE - at as f64 * high;
                    let corners = [(self.axis.begin(), upper), (self.axis.at(value), upper - high)];
                    chart.draw_series([Rectangle::new(corners, fill)])?;
                    let tip = (self.axis.at(value), upper - high / 2.0);
                    let (right, middle) = chart.backend_coord(&tip);
                    let size = if bar.values.len() > 1 { 10 } else { 12 };
                    area.draw_text(
                        &three(value),
                        &text(size, TEXT).pos(LEFT),
                        (right + 5, middle),
                    )?;
                }
                top -= 1.0;
            }
        }
        Ok(())
    }
}
