//! What comes out: a line of JSON for each row, or tables.

use crate::Result;
use crate::contestants::Contestant;
use crate::measure::{Mode, Numbers, Outcome, Row, Spread};
use crate::side::Work;
use std::fmt::Write;
use std::path::Path;

/// What the numbers were measured on, and how.
pub(crate) struct Circumstances {
    pub(crate) machine: String,
    pub(crate) command: String,
    pub(crate) rounds: usize,
    pub(crate) turn: std::time::Duration,
}

/// The lines between which a page has the tables.
const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- end of measured -->";

pub(crate) fn json(row: &Row) -> Result<String> {
    Ok(serde_json::to_string(row)?)
}

/// Puts the tables into a page, between its two marks, or makes a file of them alone.
pub(crate) fn put(file: &Path, tables: &str) -> Result<()> {
    let page = std::fs::read_to_string(file).unwrap_or_default();
    let marked = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let text = match marked {
        Some((before, after)) => format!("{before}{BEGIN}\n\n{tables}\n{END}{after}"),
        None => tables.to_owned(),
    };
    Ok(std::fs::write(file, text)?)
}

/// All tables, in Markdown.
pub(crate) fn tables(contestants: &[Contestant], rows: &[Row], circumstances: &Circumstances) -> Result<String> {
    let mut text = String::new();
    let Circumstances { machine, command, rounds, turn } = circumstances;
    writeln!(text, "{machine}. {rounds} turns of {turn:?} or more. By `{command}`.")?;
    text += "\n| | version | how |\n|---|---|---|\n";
    for contestant in contestants {
        writeln!(text, "| {} | {} | {} |", contestant.name, contestant.version().unwrap_or("–"), contestant.how)?;
    }
    for (work, title) in [(Work::RoundTrip, "Round trip, the median one"), (Work::OneWay, "One way, messages a second")] {
        for (mode, place) in [(Mode::TwoCores, "two cores"), (Mode::SameCore, "same core")] {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.work == work && row.mode == mode).collect();
            if !rows.is_empty() {
                let cell =
                    |numbers: &Numbers| if work == Work::RoundTrip { spread(&numbers.time, time) } else { spread(&numbers.rate, rate) };
                write!(text, "\n### {title}: {place}\n\n{}", table(contestants, &rows, cell)?)?;
            }
        }
    }
    for (work, title) in [(Work::RoundTrip, "a round trip"), (Work::OneWay, "a message, one way")] {
        for (mode, place) in [(Mode::TwoCores, "two cores"), (Mode::SameCore, "same core")] {
            let rows: Vec<&Row> = rows.iter().filter(|row| row.work == work && row.mode == mode).collect();
            if !rows.is_empty() {
                let cost =
                    |numbers: &Numbers| format!("{} · {} · {}", time(numbers.cpu.median), count(numbers.calls), count(numbers.allocations));
                let what = "processor time · system calls · allocations, of both processes";
                write!(text, "\n### What {title} costs: {place}\n\n{what}\n\n{}", table(contestants, &rows, cost)?)?;
            }
        }
    }
    let mut missing: Vec<String> = rows.iter().filter_map(reason).collect();
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        write!(text, "\nEmpty cells:\n\n{}", missing.concat())?;
    }
    Ok(text)
}

fn reason(row: &Row) -> Option<String> {
    match &row.outcome {
        Outcome::Measured(_) => None,
        Outcome::Empty(reason) | Outcome::Failed(reason) => Some(format!("- {}, {}: {reason}\n", row.contestant, bytes(row.size))),
    }
}

/// One line for each contestant, and one column for each size.
fn table(contestants: &[Contestant], rows: &[&Row], cell: impl Fn(&Numbers) -> String) -> Result<String> {
    let mut sizes: Vec<usize> = rows.iter().map(|row| row.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut text = String::from("| |");
    sizes.iter().for_each(|&size| text += &format!(" {} |", bytes(size)));
    text += "\n|---|";
    sizes.iter().for_each(|_| text += "---|");
    text += "\n";
    for contestant in contestants {
        write!(text, "| {} |", contestant.name)?;
        for &size in &sizes {
            match rows.iter().find(|row| row.contestant == contestant.name && row.size == size).map(|row| &row.outcome) {
                Some(Outcome::Measured(numbers)) => write!(text, " {} |", cell(numbers))?,
                _ => text += " – |",
            }
        }
        text += "\n";
    }
    Ok(text)
}

fn spread(spread: &Spread, show: fn(f64) -> String) -> String {
    format!("{} ({}–{})", show(spread.median), show(spread.low), show(spread.high))
}

/// Nanoseconds in a unit that fits.
pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.0} ns"),
        ..1e6 => format!("{} µs", digits(nanoseconds / 1e3)),
        ..1e9 => format!("{} ms", digits(nanoseconds / 1e6)),
        _ => format!("{} s", digits(nanoseconds / 1e9)),
    }
}

pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        ..1e3 => digits(per_second),
        ..1e6 => format!("{} k", digits(per_second / 1e3)),
        _ => format!("{} M", digits(per_second / 1e6)),
    }
}

/// Three digits, or those before the point.
fn digits(value: f64) -> String {
    match value {
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Whole where it is nearly so: what surrounds the messages is a hundredth of one.
fn count(value: f64) -> String {
    if (value - value.round()).abs() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") }
}

pub(crate) fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_is_around_its_tables() {
        let directory = tempfile::tempdir().unwrap();
        let page = directory.path().join("page.md");
        std::fs::write(&page, format!("before\n\n{BEGIN}\nold\n{END}\n\nafter\n")).unwrap();
        put(&page, "new\n").unwrap();
        put(&page, "newer\n").unwrap();
        assert_eq!(std::fs::read_to_string(&page).unwrap(), format!("before\n\n{BEGIN}\n\nnewer\n\n{END}\n\nafter\n"));
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([time(999.4), time(5_240.0), time(67_000.0), time(14_512_345.0)], ["999 ns", "5.24 µs", "67.0 µs", "14.5 ms"]);
        assert_eq!([rate(19.97), rate(644_400.0), rate(2_900_000.0)], ["20.0", "644 k", "2.90 M"]);
        assert_eq!([count(2.004), count(2.5)], ["2", "2.5"]);
        assert_eq!([bytes(64), bytes(16 << 10), bytes(4 << 20)], ["64 B", "16 KiB", "4 MiB"]);
    }
}
