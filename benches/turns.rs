//! Two contestants measured in turns, within one run, so that both see the same machine.

#![allow(dead_code, reason = "each benchmark uses what it needs")]

use std::error::Error;
use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One contestant: makes so many round trips.
pub(crate) type Trips = Box<dyn FnMut(u64) -> Result<()>>;

/// How many turns each contestant has, and how long one is.
pub(crate) struct Turns {
    pub(crate) count: usize,
    pub(crate) length: Duration,
}

/// Where one trip takes longer than a turn, there are fewer turns: as many as this time has room for, and five in any case.
const AT_MOST: Duration = Duration::from_secs(4);

/// Nanoseconds a trip, as medians of the turns; and the quarters of the turns' ratios.
pub(crate) struct Compared {
    pub(crate) raw: f64,
    pub(crate) ours: f64,
    pub(crate) low: f64,
    pub(crate) middle: f64,
    pub(crate) high: f64,
}

impl Turns {
    pub(crate) fn compare(&self, [mut raw, mut ours]: [Trips; 2]) -> Result<Compared> {
        let trips = self.calibrate(&mut raw)?;
        time(&mut ours, trips)?;
        let mut turns = Vec::new();
        let start = Instant::now();
        for turn in 0..self.count {
            if turn >= 5 && start.elapsed() > AT_MOST {
                break;
            }
            // Each goes first as often as the other.
            let (first, second) = if turn % 2 == 0 { (&mut raw, &mut ours) } else { (&mut ours, &mut raw) };
            let (first, second) = (time(first, trips)?, time(second, trips)?);
            turns.push(if turn % 2 == 0 { (first, second) } else { (second, first) });
        }
        let sorted = |of: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = turns.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (raw, ours, ratio) = (sorted(|turn| turn.0), sorted(|turn| turn.1), sorted(|turn| turn.1 / turn.0));
        let at = |values: &[f64], quarter: usize| values[(values.len() - 1) * quarter / 4];
        Ok(Compared { raw: at(&raw, 2), ours: at(&ours, 2), low: at(&ratio, 1), middle: at(&ratio, 2), high: at(&ratio, 3) })
    }

    /// How many trips fill a turn; warms up on the way.
    fn calibrate(&self, trips: &mut Trips) -> Result<u64> {
        let mut count = 1;
        while time(trips, count)? * (count as f64) < self.length.as_nanos() as f64 {
            count *= 2;
        }
        Ok(count)
    }
}

/// Nanoseconds a trip.
fn time(trips: &mut Trips, count: u64) -> Result<f64> {
    let start = Instant::now();
    trips(count)?;
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}

/// What the numbers were measured on, and when.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The compiler that cargo uses here, and so the one that has built this.
    pub(crate) rustc: String,
    pub(crate) date: String,
}

pub(crate) fn machine() -> Result<Machine> {
    let cpus = std::fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = cpus.lines().filter(|line| line.starts_with("model name")).filter_map(|line| line.split(": ").nth(1)).collect();
    let virtual_machine = if cpus.contains(" hypervisor") { " (a virtual machine)" } else { "" };
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
    let said = |program, argument| -> Result<String> {
        Ok(String::from_utf8(Command::new(program).arg(argument).output()?.stdout)?.trim().to_owned())
    };
    Ok(Machine {
        processor: format!("{}{virtual_machine}", models.first().unwrap_or(&"unknown")),
        cores: models.len(),
        kernel,
        rustc: said("rustc", "--version")?,
        date: said("date", "+%Y-%m-%d")?,
    })
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { processor, cores, kernel, date, .. } = self;
        write!(f, "{cores} × {processor}, Linux {kernel}, {date}")
    }
}
