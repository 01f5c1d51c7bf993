//! Run it: `cargo run --example spawn_worker`
//!
//! A program starts its worker program, which is this one in another role, and shows every way in which that can end.

use breezeway::process::{Child, CommandExt, inherited};
use breezeway::{Message, RecvError};
use std::env;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::process::{Command, ExitCode, Stdio};

#[derive(Message)]
enum Job {
    /// Count the lines of this file, which travels in the message.
    Count {
        file: File,
    },
    Exit(u8),
    Panic,
    /// Never answer.
    Sleep,
}

#[derive(Message)]
enum Report {
    Lines(usize),
    Failed(String),
    /// The job has begun.
    Begun,
}

type Worker = Child<Job, Report>;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    match env::args().nth(1).as_deref() {
        Some("worker") => return work(),
        Some("old worker") => return old::work(),
        _ => {}
    }

    let worker = start()?;
    worker.send(Job::Count { file: File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE-MIT"))? })?;
    match worker.recv()? {
        Report::Lines(count) => println!("the worker counts {count} lines"),
        Report::Failed(reason) => println!("the worker could not count: {reason}"),
        Report::Begun => println!("the worker counts for ever"),
    }
    println!("a worker that is no longer needed {}", worker.wait()?);

    let worker = told(Job::Exit(3))?;
    println!("a worker that gives up {}", worker.wait()?);

    let worker = told(Job::Panic)?;
    println!("a worker with a bug {}", worker.wait()?);

    let mut worker = told(Job::Sleep)?;
    worker.kill()?;
    println!("a worker that takes too long {}", worker.wait()?);

    // It knows nothing of channels, and ends at once: an error, and no hang.
    let worker = Command::new("true").spawn_with_channel::<Job, Report>()?;
    if let Err(error) = worker.recv() {
        println!("from a program that is no worker: {error}");
    }
    println!("it {}", worker.wait()?);

    // One that was built from other types than these: both programs say so, and where they differ.
    let worker = Command::new(env::current_exe()?).arg("old worker").stderr(Stdio::null()).spawn_with_channel::<Job, Report>()?;
    match worker.recv() {
        Err(RecvError::Fault(fault)) => println!("a worker of another version: {fault}"),
        Err(RecvError::Closed) | Ok(_) => println!("a worker of another version was not noticed"),
    }
    println!("it {}", worker.wait()?);

    if let Err(error) = Command::new("/nowhere/worker").spawn_with_channel::<Job, Report>() {
        println!("a program that is missing: {error}: {}", error.source().ok_or("a reason")?);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the worker was, once.
mod old {
    use super::{Message, Report};
    use breezeway::process::inherited;
    use std::error::Error;
    use std::fs::File;
    use std::process::ExitCode;

    #[derive(Message)]
    #[allow(dead_code, reason = "it gets no jobs")]
    enum Job {
        Count { file: File, from: u64 },
        Exit(u8),
        Panic,
        Sleep,
    }

    pub(super) fn work() -> Result<ExitCode, Box<dyn Error>> {
        let parent = inherited::<Report, Job>()?;
        parent.recv()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn start() -> Result<Worker, Box<dyn Error>> {
    // The message of a panic arrives as data, so there is no need for it on stderr too.
    Ok(Command::new(env::current_exe()?).arg("worker").stderr(Stdio::null()).spawn_with_channel()?)
}

/// A worker that has begun this job.
fn told(job: Job) -> Result<Worker, Box<dyn Error>> {
    let worker = start()?;
    worker.send(job)?;
    match worker.recv()? {
        Report::Begun => Ok(worker),
        Report::Lines(_) | Report::Failed(_) => Err("not the answer to this job".into()),
    }
}

/// The worker program: it opens nothing itself.
fn work() -> Result<ExitCode, Box<dyn Error>> {
    let parent = inherited::<Report, Job>()?;
    for job in &parent {
        match job? {
            Job::Count { mut file } => {
                let mut text = String::new();
                parent.send(match file.read_to_string(&mut text) {
                    Ok(_) => Report::Lines(text.lines().count()),
                    Err(error) => Report::Failed(error.to_string()),
                })?;
            }
            Job::Exit(code) => {
                parent.send(Report::Begun)?;
                return Ok(ExitCode::from(code));
            }
            Job::Panic => {
                parent.send(Report::Begun)?;
                panic!("this worker has a bug");
            }
            Job::Sleep => {
                parent.send(Report::Begun)?;
                loop {
                    std::thread::park();
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
