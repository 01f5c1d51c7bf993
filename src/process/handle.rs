//! A process that this one started: its number, its pidfd, and how it ended.

use super::outcome::{Outcome, PanicReport};
use crate::channel::Receiver;
use crate::error::SystemError;
use crate::sys::poll::{self, Interest};
use crate::sys::process::{self, Ended, Pid, Target};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A process that this one started.
///
/// It is named by a pidfd where the kernel has them (Linux 5.3), so that a signal can never hit another process; elsewhere by its number.
/// Dropping the handle kills the process (`SIGKILL`) and reaps it, so that none is left behind; that takes as long as the kernel takes
/// to end it, and 5 seconds at most. [`detach`](Process::detach) lets it go on. In a fork of the process that started it, a handle is an
/// inherited copy that does nothing when dropped.
#[derive(Debug)]
#[must_use = "dropping a process handle kills the process: wait for it, or detach it"]
pub struct Process {
    pid: Pid,
    pidfd: Option<Arc<OwnedFd>>,
    reports: Receiver<PanicReport>,
    outcome: Option<Outcome>,
    started_by: u32,
    on_drop: OnDrop,
}

/// What becomes of a process whose handle is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnDrop {
    Kill,
    Detach,
}

/// Processes that were let go, to be reaped when they have ended.
static DETACHED: Mutex<Vec<(Pid, Option<Arc<OwnedFd>>)>> = Mutex::new(Vec::new());

/// How long a process may take to end after `SIGKILL` before its handle gives up. Chosen, not tuned.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// How often a process without a pidfd is looked at, at first and at most. Chosen, not tuned.
const LOOK: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(10));

impl Process {
    pub(super) fn new(pid: Pid, reports: Receiver<PanicReport>, on_drop: OnDrop) -> Process {
        // Before anything can reap it, so the number still means this process.
        let pidfd = process::pidfd_open(pid).ok().map(Arc::new);
        let reports = reports.with_limits(PanicReport::LIMITS);
        Process { pid, pidfd, reports, outcome: None, started_by: std::process::id(), on_drop }
    }

    /// The process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// The pidfd, which becomes readable when the process ends; `None` where the kernel has none.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(|pidfd| pidfd.as_fd())
    }

    pub(super) fn set_on_drop(&mut self, on_drop: OnDrop) {
        self.on_drop = on_drop;
    }

    /// The pidfd, for the parent's end of the channel, which ends when the process does.
    pub(super) fn shared_pidfd(&self) -> Option<Arc<OwnedFd>> {
        self.pidfd.clone()
    }

    /// Waits until the process has ended. Its end of a channel is untouched: if the child waits for the end of it, close yours first,
    /// or use [`Child::wait`](super::Child::wait), which does.
    ///
    /// # Errors
    ///
    /// What `waitid` says.
    pub fn wait(&mut self) -> Result<Outcome, SystemError> {
        match self.look(true)? {
            Some(outcome) => Ok(outcome),
            // `waitid` does not return without one.
            None => Ok(Outcome::Unknown),
        }
    }

    /// How the process ended, or `None` while it has not. Never waits.
    ///
    /// # Errors
    ///
    /// What `waitid` says.
    pub fn try_wait(&mut self) -> Result<Option<Outcome>, SystemError> {
        self.look(false)
    }

    /// Waits at most `timeout` for the process to end; `None` if it has not.
    ///
    /// Where there is no pidfd it looks again and again, every 10 ms at last.
    ///
    /// # Errors
    ///
    /// What `waitid` or `ppoll` say.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Result<Option<Outcome>, SystemError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut pause = LOOK.0;
        loop {
            if let Some(outcome) = self.look(false)? {
                return Ok(Some(outcome));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            match &self.pidfd {
                Some(pidfd) => {
                    poll::ready(pidfd.as_fd(), Interest::Read, deadline).map_err(SystemError::in_call("ppoll"))?;
                }
                None => std::thread::sleep(left.map_or(pause, |left| left.min(pause))),
            }
            pause = LOOK.1.min(pause * 2);
        }
    }

    /// Kills the process with `SIGKILL`. That it has ended already is no error. It still has to be waited for, or dropped.
    ///
    /// # Errors
    ///
    /// What the kernel says, for example that it now runs as another user.
    pub fn kill(&mut self) -> Result<(), SystemError> {
        if self.outcome.is_some() {
            return Ok(());
        }
        match process::signal(self.target(), process::KILL) {
            Err(error) if error.raw_os_error() == Some(process::ESRCH) => Ok(()),
            result => result.map_err(SystemError::in_call("pidfd_send_signal")),
        }
    }

    /// Lets the process go on without a handle. It is reaped when this process starts another after it has ended, or ends itself.
    pub fn detach(mut self) {
        self.let_go();
    }

    fn let_go(&mut self) {
        if self.outcome.is_none() {
            // What it comes to is nobody's business any more.
            self.outcome = Some(Outcome::Unknown);
            DETACHED.lock().unwrap_or_else(PoisonError::into_inner).push((self.pid, self.pidfd.take()));
        }
    }

    pub(super) fn reap_detached() {
        let mut detached = DETACHED.lock().unwrap_or_else(PoisonError::into_inner);
        detached.retain(|(pid, pidfd)| {
            let target = Target { pid: *pid, pidfd: pidfd.as_ref().map(|pidfd| pidfd.as_fd()) };
            matches!(process::wait(target, false), Ok(None))
        });
    }

    fn target(&self) -> Target<'_> {
        Target { pid: self.pid, pidfd: self.pidfd() }
    }

    fn look(&mut self, block: bool) -> Result<Option<Outcome>, SystemError> {
        if self.outcome.is_none() {
            let ended = process::wait(self.target(), block).map_err(SystemError::in_call("waitid"))?;
            self.outcome = ended.map(|ended| self.explain(ended));
        }
        Ok(self.outcome.clone())
    }

    /// A report counts only with the exit that a panic leads to. It was sent before the process ended, so it is there by now.
    /// The last one counts: a program may have survived others.
    fn explain(&self, ended: Ended) -> Outcome {
        let report = || self.reports.try_iter().filter_map(Result::ok).last();
        match ended {
            Ended::Exited(101) => report().map_or(Outcome::Exited(101), Outcome::Panicked),
            Ended::Exited(code) => Outcome::Exited(code),
            Ended::Signalled { signal, core } => {
                let report = if signal == process::ABORT { report() } else { None };
                report.map_or(Outcome::Signalled { signal, core_dumped: core }, Outcome::Panicked)
            }
            Ended::Unknown => Outcome::Unknown,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.outcome.is_none() && self.started_by == std::process::id() {
            match self.on_drop {
                OnDrop::Kill => {
                    let _ = self.kill();
                    let _ = self.wait_timeout(KILL_PATIENCE);
                }
                OnDrop::Detach => self.let_go(),
            }
        }
    }
}
