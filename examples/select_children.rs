//! Run it: `cargo run --example select_children`
//!
//! One loop waits for everything at once: three children with channels of different types, a log that all of them write to, and a timer.
//! One child does its work, one fails, and one never answers: it is killed when its time is over.

use breezeway::process::ForkedProcess;
use breezeway::select::Select;
use breezeway::{Channel, Message, Sender, channel};
use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the oracle may think.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the three tell: each its own type.
#[derive(Message)]
struct Progress {
    percent: u32,
}

#[derive(Message)]
enum Reading {
    Degrees(f64),
    Broken { sensor: String },
}

#[derive(Message)]
struct Answer(String);

#[derive(Message)]
struct Line {
    from: String,
    text: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (log, lines) = channel::<Line>()?;
    let worker = ForkedProcess::spawn({
        let log = log.clone();
        move |parent| work(&parent, &log)
    })?;
    let sensor = ForkedProcess::spawn({
        let log = log.clone();
        move |parent| sense(&parent, &log)
    })?;
    let mut oracle = ForkedProcess::spawn({
        let log = log.clone();
        move |parent| ponder(&parent, &log)
    })?;
    // The log ends with its last writer, so this process must not be one.
    drop(log);

    let select = Select::new()?;
    let on_line = select.add(&lines)?;
    let on_worker = select.add(&worker)?;
    let on_sensor = select.add(&sensor)?;
    let on_oracle = select.add(&oracle)?;
    let mut patience = None;

    // Who comes first is up to the machine, so what each has told is kept, and printed in the end.
    let (mut logged, mut progress, mut readings, mut answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // A member leaves when its channel has ended and everything has been received; a deadline, when it has been reported.
    while !select.is_empty() {
        for token in &select.wait()? {
            if token == on_line {
                for line in lines.try_iter() {
                    let line = line?;
                    if line.from == "oracle" {
                        patience = Some(select.add_deadline(Instant::now() + PATIENCE));
                    }
                    logged.push(line);
                }
            } else if token == on_worker {
                for message in worker.try_iter() {
                    progress.push(message?.percent);
                }
            } else if token == on_sensor {
                for reading in sensor.try_iter() {
                    readings.push(reading?);
                }
            } else if token == on_oracle {
                for answer in oracle.try_iter() {
                    answers.push(answer?.0);
                }
            } else if Some(token) == patience {
                oracle.kill()?;
            }
        }
    }

    println!("the worker has done {progress:?} percent, and {}", worker.wait()?);
    for reading in readings {
        match reading {
            Reading::Degrees(degrees) => println!("the sensor reads {degrees} degrees"),
            Reading::Broken { sensor } => println!("the sensor says that {sensor} is broken"),
        }
    }
    println!("the sensor {}", sensor.wait()?);
    println!("the oracle has answered {answers:?}, and {}", oracle.wait()?);
    for from in ["worker", "sensor", "oracle"] {
        let texts: Vec<_> = logged.iter().filter(|line| line.from == from).map(|line| line.text.as_str()).collect();
        println!("the log of the {from}: {}", texts.join(", "));
    }
    Ok(())
}

fn line(from: &str, text: &str) -> Line {
    Line { from: from.into(), text: text.into() }
}

fn work(parent: &Channel<Progress, ()>, log: &Sender<Line>) -> io::Result<()> {
    log.send(line("worker", "starting"))?;
    for percent in [25, 50, 75, 100] {
        parent.send(Progress { percent })?;
    }
    log.send(line("worker", "done"))?;
    Ok(())
}

fn sense(parent: &Channel<Reading, ()>, log: &Sender<Line>) -> ExitCode {
    let readings = [Reading::Degrees(21.5), Reading::Broken { sensor: "the one on the roof".into() }];
    if readings.into_iter().any(|reading| parent.send(reading).is_err()) || log.send(line("sensor", "giving up")).is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(3)
}

fn ponder(_parent: &Channel<Answer, ()>, log: &Sender<Line>) -> io::Result<()> {
    log.send(line("oracle", "thinking"))?;
    loop {
        std::thread::park();
    }
}
