//! How a process ended.

use crate::error::{LONGEST_PANIC, SystemError};
use crate::limits::Limits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a child's failure is in here"]
pub enum Outcome {
    /// It exited with this code.
    Exited(i32),
    /// A signal killed it.
    Signalled {
        /// The signal's number, as in signal(7).
        signal: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
    /// A panic left its closure.
    Panicked(PanicReport),
    /// It ended, and somebody else took its status: another `wait` in this program, or the kernel because `SIGCHLD` is ignored.
    Unknown,
}

impl Outcome {
    /// Whether it exited with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        *self == Outcome::Exited(0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Exited(code) => write!(f, "exited with code {code}"),
            Outcome::Signalled { signal, core_dumped: false } => write!(f, "was killed by signal {signal}"),
            Outcome::Signalled { signal, core_dumped: true } => write!(f, "was killed by signal {signal} and dumped core"),
            Outcome::Panicked(report) => write!(f, "panicked: {report}"),
            Outcome::Unknown => f.write_str("ended, and its status was taken by somebody else"),
        }
    }
}

/// A panic in another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PanicReport {
    /// What it panicked with, if that was text, up to 64 KiB.
    pub message: String,
    /// The source file, as the compiler was given it; empty if the panic was resumed and not started in that process.
    pub file: String,
    /// The line in the file, from 1.
    pub line: u32,
}

impl PanicReport {
    /// Bytes of the message that are told.
    pub(super) const LONGEST: usize = LONGEST_PANIC;
    /// What a child may send as a report, and no more: the process that panicked may be a hostile one. The rest is for the file's name.
    pub(super) const LIMITS: Limits = Limits::new().max_message(PanicReport::LONGEST + 8192).max_descriptors(0);
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.file.as_str() {
            "" => f.write_str(&self.message),
            file => write!(f, "{file}:{}: {}", self.line, self.message),
        }
    }
}

/// Why [`join`](super::raw::ForkedProcess::join) did not see the process succeed.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It did not exit with code 0.
    #[error("the process {0}")]
    Failed(Outcome),
    /// Waiting failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        match error {
            JoinError::System(error) => error.into(),
            failed => io::Error::other(failed),
        }
    }
}
