//! Run it: `cargo run --example privilege_separation`
//!
//! A parent that may open files, and a child that may open nothing: the child asks for files by name, the parent decides, and what the
//! child gets is the open file itself.

use breezeway::Message;
use breezeway::process::ForkedProcess;
use breezeway::protocol::{Call, CallError, ClientEnd};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

/// What a process without privileges may ask of one that has them.
#[breezeway::protocol]
trait Opener {
    /// Opens a file of the project for reading.
    fn open(name: PathBuf) -> Result<File, Denied>;
    /// Whatever went wrong, for the log.
    #[oneway]
    fn log(line: String);
}

/// Why a file was not opened.
#[derive(Message, Debug, thiserror::Error)]
enum Denied {
    #[error("only files of this project")]
    Outside,
    #[error("it could not be opened: {0}")]
    Failed(String),
}

/// The privileged side: what it opens is decided here, and nowhere else.
struct Project(PathBuf);

impl OpenerService for Project {
    fn open(&self, _: &Call, name: PathBuf) -> Result<File, Denied> {
        // The name comes from a process that is not trusted.
        let inside = name.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || self.0.join(&name).is_symlink() {
            return Err(Denied::Outside);
        }
        File::open(self.0.join(name)).map_err(|error| Denied::Failed(error.to_string()))
    }

    fn log(&self, _: &Call, line: String) {
        println!("log: {line}");
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (channel, mut worker) = ForkedProcess::spawn(work)?.into_parts();
    // Until the worker ends; whatever it sends, it is an error at the worker alone.
    Opener::serve(Project(env!("CARGO_MANIFEST_DIR").into()), channel)?;
    let outcome = worker.wait()?;
    println!("the worker {outcome}");
    Ok(if outcome.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The worker's process.
fn work(parent: ClientEnd<Opener>) -> Result<(), Box<dyn Error>> {
    let opener = OpenerClient::new(parent);
    forbid_opening()?;

    if let Err(error) = File::open("/dev/null") {
        println!("the worker itself opens nothing: {error}");
    }
    for name in ["LICENSE-MIT", "../secret", "/etc/shadow", "missing"] {
        match opener.open(name.into()) {
            Ok(file) => println!("{name}: {}", title(file)?),
            Err(CallError::Answer(denied)) => {
                println!("{name}: {denied}");
                opener.log(format!("no {}", Path::new(name).display()))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The first line.
fn title(file: File) -> std::io::Result<String> {
    let mut line = String::new();
    BufReader::new(file).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// From now on, every call of this process that opens a file fails with `EACCES`. seccomp(2)
fn forbid_opening() -> Result<(), Box<dyn Error>> {
    let calls = [
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_creat,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        // A ring opens files without a call of its own.
        libc::SYS_io_uring_setup,
    ];
    let filter = SeccompFilter::new(
        calls.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EACCES as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(())
}
