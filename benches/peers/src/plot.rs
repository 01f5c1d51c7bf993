//! The same as the first tables, drawn: times and rates over sizes, both on logarithmic scales.

use crate::Result;
use crate::contestants::Contestant;
use crate::measure::{Mode, Numbers, Outcome, Row};
use crate::report;
use crate::side::Work;
use plotters::prelude::*;
use std::path::Path;

/// Pixels.
const PANEL: (u32, u32) = (640, 520);

type Panel = (Work, Mode, &'static str);

const PANELS: [Panel; 4] = [
    (Work::RoundTrip, Mode::TwoCores, "Round trip, two cores"),
    (Work::RoundTrip, Mode::SameCore, "Round trip, same core"),
    (Work::OneWay, Mode::TwoCores, "One way, two cores: messages a second"),
    (Work::OneWay, Mode::SameCore, "One way, same core: messages a second"),
];

pub(crate) fn draw(file: &Path, contestants: &[Contestant], rows: &[Row]) -> Result<()> {
    let root = SVGBackend::new(file, (2 * PANEL.0, 2 * PANEL.1)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((2, 2)).iter().zip(PANELS) {
        let lines = lines(contestants, rows, panel);
        if lines.iter().any(|(_, points)| !points.is_empty()) {
            draw_panel(area, panel, &lines)?;
        }
    }
    Ok(root.present()?)
}

/// What a panel shows: a name, and a value for each size.
type Line = (&'static str, Vec<(f64, f64)>);

fn lines(contestants: &[Contestant], rows: &[Row], (work, mode, _): Panel) -> Vec<Line> {
    let value = |numbers: &Numbers| if work == Work::RoundTrip { numbers.time.median } else { numbers.rate.median };
    let points = |name| {
        let rows = rows.iter().filter(move |row| row.contestant == name && row.work == work && row.mode == mode);
        rows.filter_map(|row| match &row.outcome {
            Outcome::Measured(numbers) => Some((row.size as f64, value(numbers))),
            Outcome::Empty(_) | Outcome::Failed(_) => None,
        })
    };
    contestants.iter().map(|contestant| (contestant.name, points(contestant.name).collect())).collect()
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, (work, _, title): Panel, lines: &[Line]) -> Result<()> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let ends = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = all().map(of).fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        low / 1.5..high * 1.5
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(64)
        .build_cartesian_2d(ends(|point| point.0).log_scale().base(4.0), ends(|point| point.1).log_scale())?;
    let show = if work == Work::RoundTrip { report::time } else { report::rate };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|size| report::bytes(*size as usize))
        .y_label_formatter(&|value| show(*value))
        .draw()?;
    for (index, (name, points)) in lines.iter().enumerate().filter(|(_, (_, points))| !points.is_empty()) {
        // The project's own are drawn thicker, to be found.
        let width = if name.starts_with("breezeway") { 3 } else { 1 };
        let style = Palette99::pick(index).stroke_width(width);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style).point_size(2 + width))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], style));
    }
    let corner = if work == Work::RoundTrip { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::LowerLeft };
    chart.configure_series_labels().position(corner).background_style(WHITE.mix(0.8)).label_font(("sans-serif", 12)).draw()?;
    Ok(())
}
