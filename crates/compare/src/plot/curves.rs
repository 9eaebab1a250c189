//! Lines over an axis, each named at its end.

use plotters::chart::ChartBuilder;
use plotters::prelude::{Circle, PathElement, Rectangle};
use plotters::series::{DashedLineSeries, LineSeries};
use plotters::style::{Color, RGBColor, ShapeStyle, WHITE};

use super::axis::Axis;
use super::canvas::{self, ABOVE, Area, HEAD, Heading, LEFT, WIDTH, alpha, bold, text};
use super::spread::spread;
use super::style::{GRID, TEXT, THIN};
use crate::peer::Result;

const HEIGHT: u32 = 540;
/// Room for the names, at the right.
const NAMES: u32 = 160;
const NAME_GAP: i32 = 16;

pub(super) struct Curve {
    pub(super) name: String,
    /// By x.
    pub(super) points: Vec<(f64, f64)>,
    /// Where there are marks. The line need not go through them.
    pub(super) marks: Vec<(f64, f64)>,
    pub(super) color: RGBColor,
    /// Thick, with a bold name, in front of the others.
    pub(super) main: bool,
    pub(super) dashed: bool,
    /// Whether each point's value stands beside it.
    pub(super) told: bool,
}

impl Curve {
    fn marks_at(&self, point: &(f64, f64)) -> impl Iterator<Item = &(f64, f64)> {
        self.marks.iter().filter(move |mark| mark.0 == point.0)
    }
}

pub(super) struct Curves {
    pub(super) heading: Heading,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) curves: Vec<Curve>,
}

impl Curves {
    pub(super) fn svg(&self) -> Result<String> {
        canvas::svg(HEIGHT, &self.heading, |area| self.draw(area))
    }

    /// Whether no curve has a higher point there: its value stands above it, that of others below.
    fn is_highest(&self, point: &(f64, f64)) -> bool {
        let mut points = self.curves.iter().flat_map(|curve| &curve.points);
        points.all(|other| other.0 != point.0 || other.1 <= point.1)
    }

    fn draw(&self, area: &Area) -> Result<()> {
        let (x, y) = (&self.x, &self.y);
        let mut chart = ChartBuilder::on(area)
            .margin_top(HEAD)
            .margin_left(14)
            .margin_bottom(12)
            .margin_right(NAMES)
            .x_label_area_size(48)
            .y_label_area_size(84)
            .build_cartesian_2d(x.coord(), y.coord())?;
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(THIN)
            .axis_style(GRID)
            .x_label_formatter(&|at| x.label_at(*at))
            .y_label_formatter(&|at| y.label_at(*at))
            .label_style(text(13, TEXT))
            .axis_desc_style(text(14, TEXT))
            .x_desc(&x.title)
            .y_desc(&y.title)
            .draw()?;
        let at = |(px, py): &(f64, f64)| (x.at(*px), y.at(*py));
        let mut curves: Vec<&Curve> = self.curves.iter().collect();
        curves.sort_by_key(|curve| curve.main);
        for curve in &curves {
            let style = curve.color.stroke_width(if curve.main { 4 } else { 2 });
            let line = curve.points.iter().map(at);
            if curve.dashed {
                chart.draw_series(DashedLineSeries::new(line, 5, 4, style))?;
            } else {
                chart.draw_series(LineSeries::new(line, style))?;
            }
            let radius = if curve.main { 5 } else { 3 };
            let mark = |point| Circle::new(at(point), radius, curve.color.filled());
            chart.draw_series(curve.marks.iter().map(mark))?;
        }
        let pixel = |point: &(f64, f64)| chart.backend_coord(&at(point));
        for curve in curves.iter().filter(|curve| curve.told) {
            for point in &curve.points {
                let value = y.label(point.1);
                if self.is_highest(point) {
                    let highest = curve.marks_at(point).map(pixel).min_by_key(|(_, top)| *top);
                    let (middle, top) = highest.unwrap_or(pixel(point));
                    tell(area, &value, (middle, top - 10))?;
                } else {
                    let lowest = curve.marks_at(point).map(pixel).max_by_key(|(_, top)| *top);
                    let (middle, top) = lowest.unwrap_or(pixel(point));
                    tell(area, &value, (middle, top + 22))?;
                }
            }
        }
        let end = |curve: &Curve| curve.points.last().map(pixel);
        let mut ends: Vec<_> = curves.iter().filter_map(|c| Some((end(c)?, *c))).collect();
        ends.sort_by_key(|((left, top), _)| (*top, *left));
        name(area, &ends)
    }
}

/// Writes a value on a pale ground, so that it can be read where a line crosses it.
fn tell(area: &Area, value: &str, (middle, bottom): (i32, i32)) -> Result<()> {
    let half = value.len() as i32 * 4;
    let ground = [(middle - half, bottom - 13), (middle + half, bottom + 2)];
    area.draw(&Rectangle::new(ground, alpha(WHITE, 0.75).filled()))?;
    Ok(area.draw_text(value, &text(13, TEXT).pos(ABOVE), (middle, bottom))?)
}

/// Writes the names at the right, and a thin line from each to the end of its curve.
fn name(area: &Area, ends: &[((i32, i32), &Curve)]) -> Result<()> {
    let tops: Vec<i32> = ends.iter().map(|((_, top), _)| *top).collect();
    let tops = spread(&tops, NAME_GAP, (HEAD as i32, HEIGHT as i32 - 70));
    let left = (WIDTH - NAMES) as i32 + 22;
    for ((end, curve), top) in ends.iter().zip(tops) {
        let leader: ShapeStyle = alpha(curve.color, 0.7).stroke_width(1);
        area.draw(&PathElement::new([*end, (left - 4, top)], leader))?;
        let style = if curve.main { bold(14, curve.color) } else { text(13, TEXT) };
        area.draw_text(&curve.name, &style.pos(LEFT), (left, top))?;
    }
    Ok(())
}
