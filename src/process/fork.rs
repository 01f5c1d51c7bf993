//! The one place that forks.

use super::handle::{OnDrop, Process};
use super::panic;
use super::siblings::Siblings;
use crate::channel::{self, End, one_way};
use crate::error::SystemError;
use crate::sys::process::{self, ForkPermit};
use std::io::{self, ErrorKind, Write};
use std::process::{ExitCode, Termination};
use std::sync::Weak;
use std::time::{Duration, Instant};

/// Why no process was forked. Nothing of it is left behind; the closure has been dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// This process has other threads, which may hold locks that nobody in the child would ever release.
    #[error("this process has more than one thread: fork before starting threads, or start another program instead")]
    Threads,
    /// This thread runs an async runtime, whose reactor the child would share.
    #[error("this thread is inside an async runtime: fork before starting it, or start another program instead")]
    AsyncRuntime,
    /// A system call failed.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl From<ForkError> for io::Error {
    fn from(error: ForkError) -> io::Error {
        match error {
            ForkError::System(error) => error.into(),
            refused => io::Error::new(ErrorKind::Unsupported, refused),
        }
    }
}

/// Whether the caller has vouched for the safety of forking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Safety {
    Checked,
    Promised,
}

/// How long a thread that has been joined may go on being counted by the kernel. Tried, it was gone within 28 yields; this is a
/// scheduler's turn on a loaded machine.
const JOINED_THREAD: Duration = Duration::from_millis(20);

fn permit(safety: Safety) -> Result<ForkPermit, ForkError> {
    if safety == Safety::Promised {
        return Ok(ForkPermit::promised());
    }
    #[cfg(feature = "tokio")]
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(ForkError::AsyncRuntime);
    }
    let deadline = Instant::now() + JOINED_THREAD;
    loop {
        if let Some(permit) = ForkPermit::if_single_threaded().map_err(SystemError::in_call("unshare"))? {
            return Ok(permit);
        }
        if Instant::now() > deadline {
            return Err(ForkError::Threads);
        }
        std::thread::yield_now();
    }
}

/// Forks; the child runs `child` and ends with its exit code. `prepare` runs first in the child, to close what is the parent's;
/// `parents_end` is closed in children that are forked later.
pub(super) fn fork<T: Termination>(
    safety: Safety,
    parents_end: Option<Weak<End>>,
    prepare: impl FnOnce(),
    child: impl FnOnce() -> T,
) -> Result<Process, ForkError> {
    let permit = permit(safety)?;
    Process::reap_detached();
    let (report_to, reports) = one_way()?;
    // Text that waits in a buffer would come out of both processes.
    let _ = io::stdout().flush();
    process::flush_c_streams();
    // Each is taken in the child; what is left of them is the parent's.
    let mut inherited = Some((Siblings::lock(), reports));
    let mut child = Some(child);
    let forked = process::fork(permit, || {
        if let Some((siblings, reports)) = inherited.take() {
            drop(reports);
            channel::forked();
            prepare();
            siblings.close_all();
        }
        let code = panic::reporting(report_to, || child.take().map_or(0, |child| exit_code(child().report())));
        // Not where other threads may have held the locks of these at the fork.
        if safety == Safety::Checked {
            let _ = io::stdout().flush();
            process::flush_c_streams();
        }
        code
    });
    let (mut siblings, reports) = inherited.unwrap_or_else(|| unreachable!("taken in the child only"));
    let process = forked.map(|pid| Process::new(pid, reports, OnDrop::Kill));
    if process.is_ok() {
        parents_end.into_iter().for_each(|end| siblings.add(end));
    }
    // Unlocked before the closure goes: destructors of what it captured may fork, or wait for a child.
    drop(siblings);
    drop(child);
    Ok(process.map_err(SystemError::in_call("fork"))?)
}

/// The number in an `ExitCode`, which std does not tell.
fn exit_code(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|&number| ExitCode::from(number) == code).unwrap_or(1)
}
