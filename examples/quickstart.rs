//! Run it: `cargo run --example quickstart [FILE…]`
//!
//! Counts lines, words and bytes as wc(1) does, in a worker process that may open nothing: this process opens the files and sends them.

use breezeway::process::ForkedProcess;
use breezeway::{Channel, Message};
use lexopt::Arg;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Counts lines, words and bytes of files, as `LC_ALL=C wc` does, in a process that may open nothing.

Usage: quickstart [FILE…]

Without a FILE it counts the README.md and CHANGELOG.md of this project.
The exit status is 1 if a file could not be read.
";

/// What the parent asks for.
#[derive(Message)]
enum Job {
    /// Count this file. It travels in the message: no name, no path.
    Count(File),
    /// Try to open a file.
    Open,
}

/// What the worker answers.
#[derive(Message)]
enum Report {
    Counted {
        counts: Counts,
        /// Why it ended before the end of the file.
        failure: Option<String>,
    },
    /// How the attempt to open a file failed.
    Refused(String),
    Opened,
}

#[derive(Message, Clone, Copy, Default)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error and what caused it, in one line.
fn complain(error: &dyn Error) {
    eprint!("quickstart: {error}");
    let mut next = error.source();
    while let Some(cause) = next {
        eprint!(": {cause}");
        next = cause.source();
    }
    eprintln!();
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(files) = arguments()? else {
        io::stdout().write_all(HELP.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    };

    let worker = ForkedProcess::spawn(work)?;
    let counted = count(&worker, &files);
    let outcome = worker.wait()?;
    match counted {
        Ok(all_read) => {
            writeln!(io::stdout(), "the worker {outcome}")?;
            Ok(if all_read && outcome.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(error) => {
            complain(&*error);
            // It may have gone too early.
            eprintln!("quickstart: the worker {outcome}");
            Ok(ExitCode::FAILURE)
        }
    }
}

struct Input {
    path: PathBuf,
    /// What the output calls it.
    name: PathBuf,
}

/// The files to count; `None` if the help is wanted.
fn arguments() -> Result<Option<Vec<Input>>, lexopt::Error> {
    let mut files = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(path) => files.push(Input { name: path.clone().into(), path: path.into() }),
            other => return Err(other.unexpected()),
        }
    }
    if files.is_empty() {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        files = ["README.md", "CHANGELOG.md"].map(|name| Input { name: name.into(), path: project.join(name) }).into();
    }
    Ok(Some(files))
}

/// Has every file counted and prints the table; whether every file was read to its end.
fn count(worker: &Channel<Job, Report>, files: &[Input]) -> Result<bool, Box<dyn Error>> {
    let width = column_width(files);
    let mut total = Counts::default();
    let mut all_read = true;
    for Input { path, name } in files {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                eprintln!("quickstart: {}: {error}", name.display());
                all_read = false;
                continue;
            }
        };
        // The file moves: here it is closed when the call returns.
        worker.send(Job::Count(file))?;
        let Report::Counted { counts, failure } = worker.recv()? else {
            return Err("the worker answered something else".into());
        };
        if let Some(failure) = failure {
            eprintln!("quickstart: {}: {failure}", name.display());
            all_read = false;
        }
        print_row(&counts, name, width)?;
        total = Counts { lines: total.lines + counts.lines, words: total.words + counts.words, bytes: total.bytes + counts.bytes };
    }
    if files.len() > 1 {
        print_row(&total, Path::new("total"), width)?;
    }

    worker.send(Job::Open)?;
    match worker.recv()? {
        Report::Refused(error) => writeln!(io::stdout(), "as it should be, the worker could not open {PUBLIC} itself: {error}")?,
        _ => return Err(format!("the worker could open {PUBLIC} itself").into()),
    }
    Ok(all_read)
}

/// The width that wc(1) gives its columns: enough for the sizes of all regular files together, and at least 7 if there is another file.
fn column_width(files: &[Input]) -> usize {
    let (mut bytes, mut least) = (0, 1);
    for metadata in files.iter().filter_map(|file| fs::metadata(&file.path).ok()) {
        if metadata.is_file() { bytes += metadata.len() } else { least = 7 }
    }
    bytes.to_string().len().max(least)
}

fn print_row(counts: &Counts, name: &Path, width: usize) -> io::Result<()> {
    let Counts { lines, words, bytes } = counts;
    let mut out = io::stdout().lock();
    write!(out, "{lines:>width$} {words:>width$} {bytes:>width$} ")?;
    // A name need not be UTF-8.
    out.write_all(name.as_os_str().as_bytes())?;
    writeln!(out)
}

/// A file that everybody may open.
const PUBLIC: &str = "/dev/null";

/// The worker process: answers until the parent closes the channel.
fn work(parent: Channel<Report, Job>) -> Result<(), Box<dyn Error>> {
    forbid_opening()?;
    for job in &parent {
        parent.send(match job? {
            Job::Count(file) => {
                let mut counts = Counts::default();
                let failure = counts.add(file).err().map(|error| error.to_string());
                Report::Counted { counts, failure }
            }
            Job::Open => File::open(PUBLIC).map_or_else(|error| Report::Refused(error.to_string()), |_| Report::Opened),
        })?;
    }
    Ok(())
}

impl Counts {
    /// Counts a file as wc(1) of GNU coreutils 9.1 does in the C locale: a byte that is neither white space nor printable is part of a
    /// word and makes none.
    fn add(&mut self, mut file: File) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        let mut in_word = false;
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            self.bytes += count as u64;
            for byte in &buffer[..count] {
                match byte {
                    b' ' | b'\t'..=b'\r' => {
                        in_word = false;
                        self.lines += u64::from(*byte == b'\n');
                    }
                    b'!'..=b'~' => {
                        self.words += u64::from(!in_word);
                        in_word = true;
                    }
                    _ => {}
                }
            }
        }
    }
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
