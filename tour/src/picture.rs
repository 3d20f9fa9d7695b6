//! Pictures of what a program has measured: lines, as SVG, in `tour-pictures` beside what is built.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use plotters::prelude::*;

use crate::output::Failure;

/// Lines in one picture.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    /// The file's name, without its ending.
    pub(crate) file: &'a str,
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// Whether equal steps to the right are equal factors; then no `x` may be zero.
    pub(crate) log_x: bool,
    /// What each line shows, and its points.
    pub(crate) series: &'a [(&'a str, Vec<(f64, f64)>)],
}

/// Draws the picture and says where it is.
///
/// # Errors
/// If it can't be written.
pub(crate) fn draw(lines: &Lines<'_>) -> Result<PathBuf, Failure> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let path = folder.join("tour-pictures").join(format!("{}.svg", lines.file));
    let in_words = |error: &dyn Error| Failure::new(format!("can't draw {}: {error}", path.display()));
    fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(|error| in_words(&error))?;
    draw_to(lines, &path).map_err(|error| in_words(&*error))?;
    Ok(path)
}

fn draw_to(lines: &Lines<'_>, path: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let points = || lines.series.iter().flat_map(|(_, points)| points);
    let least = points().map(|point| point.0).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.0).fold(f64::NEG_INFINITY, f64::max);
    let height = points().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    if !(least < most && height > 0.0) {
        return Err("there is nothing to draw".into());
    }
    let root = SVGBackend::new(path, (800, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&root);
    builder.caption(lines.title, ("sans-serif", 22)).margin(16).x_label_area_size(44).y_label_area_size(70);
    macro_rules! lines_in {
        ($x:expr) => {{
            let mut chart = builder.build_cartesian_2d($x, 0.0..height * 1.1)?;
            chart.configure_mesh().x_desc(lines.x).y_desc(lines.y).draw()?;
            for (index, (name, points)) in lines.series.iter().enumerate() {
                let colour = Palette99::pick(index).to_rgba();
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                    .label(*name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            }
            chart
                .configure_series_labels()
                .background_style(WHITE.mix(0.8))
                .position(SeriesLabelPosition::UpperLeft)
                .draw()?;
        }};
    }
    if lines.log_x {
        lines_in!((least..most).log_scale());
    } else {
        lines_in!(least..most);
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log_x: bool, points: Vec<(f64, f64)>) -> Result<PathBuf, Failure> {
        let file = if log_x { "test-log" } else { "test" };
        draw(&Lines { file, title: "A title", x: "x", y: "y", log_x, series: &[("a line", points)] })
    }

    #[test]
    fn a_picture_has_its_title_its_axes_and_its_lines() {
        for log_x in [false, true] {
            let path = lines(log_x, vec![(1.0, 2.0), (10.0, 3.0), (100.0, 1.0)]).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(["<svg", "A title", "a line", "<polyline"].iter().all(|part| text.contains(part)));
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn without_points_there_is_nothing_to_draw() {
        assert!(lines(false, Vec::new()).unwrap_err().to_string().contains("nothing to draw"));
    }
}
