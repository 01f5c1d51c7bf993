//! The same typed work through breezeway and through other libraries, each in two processes of its own, in turns within one run.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml             # tables
//!     -- --json                # a line of JSON for each row instead, as they come
//!        --table docs/peers.md # and the tables into this page
//!        --svg docs/peers.svg  # and a plot
//!        --only NAME           # this contestant; may be repeated
//!        --size BYTES          # this size; may be repeated
//!        --rounds N            # turns of each contestant
//!        --quick               # does it run: numbers of no value
//! ```
//!
//! What is measured, and how, is in docs/peers.md.

mod contestants;
mod kernel;
mod measure;
mod meeting;
mod message;
mod pair;
mod plot;
#[path = "../../raw.rs"]
mod raw;
mod report;
mod side;
mod trace;

use lexopt::prelude::*;
use measure::{Effort, Outcome, Row};
use pair::Place;
use report::Circumstances;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub(crate) type Error = Box<dyn std::error::Error>;
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The sizes of the table, in bytes.
const SIZES: [usize; 6] = [64, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20];
/// From here on a message takes so long that fewer turns do.
const LARGE: usize = 64 << 20;

struct Options {
    json: bool,
    table: Option<PathBuf>,
    svg: Option<PathBuf>,
    only: Vec<String>,
    sizes: Vec<usize>,
    effort: Effort,
}

fn options() -> Result<Options> {
    let (mut quick, mut rounds) = (false, None);
    let effort = Effort { rounds: 21, turn: Duration::from_millis(30) };
    let mut options = Options { json: false, table: None, svg: None, only: Vec::new(), sizes: Vec::new(), effort };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => options.json = true,
            Long("table") => options.table = Some(parser.value()?.into()),
            Long("svg") => options.svg = Some(parser.value()?.into()),
            Long("only") => options.only.push(parser.value()?.string()?),
            Long("size") => options.sizes.push(parser.value()?.parse()?),
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Long("quick") => quick = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if quick {
        options.effort = Effort { rounds: 2, turn: Duration::from_micros(500) };
    }
    options.effort.rounds = rounds.unwrap_or(options.effort.rounds).max(1);
    if options.sizes.is_empty() {
        options.sizes = if quick { vec![64, 256 << 10, 4 << 20] } else { SIZES.to_vec() };
    }
    match options.sizes.iter().find(|&&size| size < 64) {
        Some(size) => Err(format!("a request of {size} bytes: 64 is the smallest").into()),
        None => Ok(options),
    }
}

fn main() -> Result<()> {
    let mut contestants = contestants::all();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == "--side"
    {
        return pair::serve(&contestants, rest);
    }
    let options = options()?;
    if let Some(unknown) = options.only.iter().find(|name| !contestants.iter().any(|contestant| contestant.name == **name)) {
        let names: Vec<&str> = contestants.iter().map(|contestant| contestant.name).collect();
        return Err(format!("no contestant `{unknown}`; there are: {}", names.join("; ")).into());
    }
    contestants.retain(|contestant| options.only.is_empty() || options.only.iter().any(|name| name == contestant.name));
    let circumstances = Circumstances {
        machine: machine()?,
        command: ["cargo run --release --manifest-path benches/peers/Cargo.toml --"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" "),
        rounds: options.effort.rounds,
        turn: options.effort.turn,
    };
    if options.json {
        println!("{}", serde_json::json!({ "machine": circumstances.machine }));
    }
    let directory = tempfile::tempdir()?;
    let mut rows: Vec<Row> = Vec::new();
    for (mode, place) in measure::places(&raw::processors()?, directory.path()) {
        for &size in &options.sizes {
            let rounds = if size >= LARGE { options.effort.rounds.div_ceil(4) } else { options.effort.rounds };
            let place = Place { size, ..place };
            for row in measure::compare(&contestants, Effort { rounds, ..options.effort }, mode, place) {
                if options.json {
                    println!("{}", report::json(&row)?);
                }
                rows.push(row);
            }
        }
    }
    let tables = report::tables(&contestants, &rows, &circumstances)?;
    if !options.json {
        print!("{tables}");
    }
    if let Some(file) = &options.table {
        report::put(file, &tables)?;
    }
    if let Some(file) = &options.svg {
        plot::draw(file, &contestants, &rows)?;
    }
    // What is empty is as it should be; what failed is not.
    let failed = rows.iter().find_map(|row| if let Outcome::Failed(reason) = &row.outcome { Some((row.contestant, reason)) } else { None });
    failed.map_or(Ok(()), |(contestant, reason)| Err(format!("{contestant}: {reason}").into()))
}

/// What the numbers were measured on.
fn machine() -> Result<String> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = cpus.lines().filter(|line| line.starts_with("model name")).filter_map(|line| line.split(": ").nth(1)).collect();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let date = String::from_utf8(Command::new("date").arg("+%Y-%m-%d").output()?.stdout)?;
    Ok(format!("{} × {}, Linux {}, {}", models.len(), models.first().unwrap_or(&"unknown"), kernel.trim(), date.trim()))
}
