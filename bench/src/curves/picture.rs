//! The curves as a picture: a chart for each axis, both of its scales logarithmic, so that what is flat costs the same everywhere.

use super::{Axis, Measured};
use crate::plot::{COLOURS, FONT, INK, PALE};
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (1100, 800);

/// Draws them into an SVG file.
///
/// # Errors
/// What the file system or the drawing says.
pub(super) fn draw(all: &[Measured], file: &Path) -> Result<(), String> {
    charts(all, file).map_err(|error| format!("{}: {error}", file.display()))
}

fn charts(all: &[Measured], file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: u32| (FONT, size).into_font().color(&INK);
    for (axis, area) in Axis::ALL.into_iter().zip(root.split_evenly((2, 2))) {
        let here: Vec<_> = all.iter().filter(|measured| measured.curve.axis == axis).collect();
        let points = || here.iter().flat_map(|measured| &measured.points);
        let Some(last) = points().map(|&(at, _)| at).max() else { continue };
        let first = points().map(|&(at, _)| at).min().unwrap_or(1);
        let low = points().map(|&(_, ns)| ns).fold(f64::MAX, f64::min) / 1.5;
        let high = points().map(|&(_, ns)| ns).fold(0.0, f64::max) * 1.5;
        let mut chart = ChartBuilder::on(&area)
            .caption(format!("ns/op by number of {}", axis.name()), text(20))
            .margin(12)
            .x_label_area_size(34)
            .y_label_area_size(60)
            .build_cartesian_2d(
                (first as f64 * 0.9..last as f64 * 1.1).log_scale(),
                (low.max(0.1)..high).log_scale(),
            )?;
        chart
            .configure_mesh()
            .bold_line_style(PALE)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .label_style(text(14))
            .x_label_formatter(&|x| format!("{x}"))
            .y_label_formatter(&|y| format!("{y}"))
            .draw()?;
        for (measured, (_, colour)) in here.iter().zip(COLOURS) {
            let line: Vec<_> = measured.points.iter().map(|&(at, ns)| (at as f64, ns)).collect();
            chart.draw_series(line.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
            chart
                .draw_series([PathElement::new(line, colour.stroke_width(2))])?
                .label(measured.curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(PALE)
            .label_font(text(14))
            .draw()?;
    }
    root.present()?;
    Ok(())
}
