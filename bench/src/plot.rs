//! The picture: for every case, where each contestant stands in relation to Go, on a logarithmic axis.

use crate::{
    cases,
    report::{ToldCase, ToldRun, ratio},
};
use plotters::{
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};
use std::path::Path;

const WIDTH: u32 = 1100;
const ROW: u32 = 26;
const HEAD: u32 = 110;
const LEFT: u32 = 170;
pub(crate) const FONT: &str = "sans-serif";
pub(crate) const INK: RGBColor = RGBColor(40, 44, 52);
pub(crate) const PALE: RGBColor = RGBColor(225, 228, 232);

/// Colours that people with colour-blindness can tell apart (Okabe and Ito).
pub(crate) const COLOURS: [(&str, RGBColor); 9] = [
    ("rendez", RGBColor(213, 94, 0)),
    ("go", RGBColor(0, 114, 178)),
    ("tokio", RGBColor(0, 158, 115)),
    ("kanal", RGBColor(204, 121, 167)),
    ("flume", RGBColor(230, 159, 0)),
    ("crossbeam", RGBColor(86, 180, 233)),
    ("may", RGBColor(110, 110, 110)),
    ("rayon", RGBColor(0, 0, 0)),
    ("shuttle", RGBColor(240, 228, 66)),
];

/// Draws the run into an SVG file.
///
/// # Errors
/// What the file system or the drawing says.
pub(crate) fn draw(run: &ToldRun, file: &Path) -> Result<(), String> {
    chart(run, file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Where each contestant stands in a case, relative to Go, or to rendez where there is no Go.
fn points(told: &ToldCase) -> Vec<(&'static str, f64)> {
    let Some((case, base)) = cases::find(told.case).zip(told.go.or(told.rendez)) else {
        return Vec::new();
    };
    let named = [("rendez", told.rendez), ("go", told.go)];
    let named = named.into_iter().filter_map(|(name, reading)| Some((name, reading?)));
    let all = told.peers.iter().map(|(name, reading)| (*name, *reading)).chain(named);
    all.map(|(name, reading)| (name, ratio(case, reading, base))).filter(|(_, x)| x.is_finite()).collect()
}

fn chart(run: &ToldRun, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let rows: Vec<_> = run.cases.iter().map(|told| (told.case, points(told))).collect();
    let xs = || rows.iter().flat_map(|(_, points)| points.iter().map(|(_, x)| *x));
    let low = 0.8 * xs().fold(0.1, f64::min);
    let high = 1.25 * xs().fold(10.0, f64::max);
    let height = HEAD + ROW * rows.len() as u32 + 50;
    let root = SVGBackend::new(file, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size: u32| (FONT, size).into_font().color(&INK);
    let machine = &run.machine;
    let base = if run.cases.iter().any(|told| told.go.is_some()) { "Go" } else { "rendez" };
    let quick = if run.quick { " (quick)" } else { "" };
    root.draw_text(&format!("rendez: time and memory relative to {base}{quick}"), &text(24), (20, 14))?;
    let where_and_when = format!("{machine}, {}; left of 1 is better", run.date);
    root.draw_text(&where_and_when, &text(16), (20, 44))?;
    for (i, (name, colour)) in COLOURS.iter().enumerate() {
        let x = 26 + 120 * i as i32;
        root.draw(&Circle::new((x, 80), 5, colour.filled()))?;
        root.draw_text(name, &text(16), (x + 12, 73))?;
    }

    let mut chart = ChartBuilder::on(&root)
        .margin_top(HEAD as i32)
        .margin_right(30)
        .margin_left(LEFT as i32)
        .x_label_area_size(40)
        .build_cartesian_2d((low..high).log_scale(), 0.0..rows.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .bold_line_style(PALE)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .x_label_style(text(16))
        .x_label_formatter(&|x| format!("{x}"))
        .draw()?;
    let count = rows.len() as f64;
    chart.draw_series([PathElement::new(vec![(1.0, 0.0), (1.0, count)], INK.stroke_width(1))])?;
    let label = text(17).pos(Pos::new(HPos::Right, VPos::Center));
    for (i, (case, points)) in rows.iter().enumerate() {
        let y = count - i as f64 - 0.5;
        let (x, line) = chart.backend_coord(&(low, y));
        root.draw_text(case, &label, (x - 10, line))?;
        chart.draw_series([PathElement::new(vec![(low, y), (high, y)], PALE)])?;
        for (name, x) in points {
            let colour = COLOURS.iter().find(|(known, _)| known == name).map_or(INK, |(_, colour)| *colour);
            let size = if *name == "rendez" { 7 } else { 5 };
            chart.draw_series([Circle::new((*x, y), size, colour.filled())])?;
        }
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cases::CASES,
        machine::Machine,
        peer::{Answer, PEERS},
        report::{Column, Row},
    };
    use std::{collections::BTreeMap, env, fs};

    #[test]
    fn the_picture_names_every_case_and_every_contestant() {
        let column = |(i, peer): (usize, &crate::peer::Peer)| {
            let mut column = Column::new(peer.name, &Answer::Elsewhere);
            column.push(30.0 * (i + 1) as f64);
            column
        };
        let row = |case| Row {
            case,
            columns: PEERS.iter().enumerate().map(column).collect(),
            cpus_given: vec![2.0],
        };
        let cases = CASES.iter().map(|case| row(case).told()).collect();
        let machine =
            Machine { cpu: "Some CPU".into(), caches: String::new(), cpus: 2, kernel: "linux".into() };
        let (versions, date) = (BTreeMap::new(), "2026-11-23".into());
        let file = env::temp_dir().join(format!("rendez-bench-plot-{}.svg", std::process::id()));
        draw(&ToldRun { machine, versions, date, quick: false, cases }, &file).unwrap();
        let svg = fs::read_to_string(&file).unwrap();
        fs::remove_file(file).unwrap();
        for name in CASES.iter().map(|case| case.name).chain(PEERS.iter().map(|peer| peer.name)) {
            assert!(svg.contains(name), "{name}");
        }
    }
}
