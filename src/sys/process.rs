//! Processes: `fork(2)`, `_exit(2)`, `pidfd_open(2)`, `waitid(2)` and the question whether the process has one thread.

use super::check;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A process identifier, as the kernel gives them.
pub(crate) type Pid = libc::pid_t;

/// That the process may be forked without `exec`: either it has one thread, or somebody vouched for it in an `unsafe` call.
#[derive(Debug)]
pub(crate) struct ForkPermit(());

impl ForkPermit {
    /// Looks whether the calling thread is the only one; `None` where it is not.
    ///
    /// `unshare(CLONE_THREAD)` does nothing in a process with one thread and is `EINVAL` in any other: 0.2 µs, no file system. Where
    /// a sandbox forbids it, `/proc/self/task` is counted.
    pub(crate) fn if_single_threaded() -> io::Result<Option<ForkPermit>> {
        // SAFETY: CLONE_THREAD alone unshares nothing; it succeeds exactly where there is nothing to share.
        let single = match check(unsafe { libc::unshare(libc::CLONE_THREAD) }) {
            Ok(_) => true,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => false,
            Err(_) => std::fs::read_dir("/proc/self/task")?.count() == 1,
        };
        Ok(single.then_some(ForkPermit(())))
    }

    /// For the body of a public `unsafe fn` only, whose caller has promised that the child does nothing that another thread's locks can stop.
    pub(crate) fn promised() -> ForkPermit {
        ForkPermit(())
    }
}

/// Forks; the child runs `child` and ends with what it returns, without running exit handlers or destructors of anybody.
pub(crate) fn fork(_: ForkPermit, child: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: the permit says that no other thread held a lock or was half-way through a change; `libc::fork` runs the C library's own handlers.
    match check(unsafe { libc::fork() })? {
        0 => {
            // An unwinding that got past here would run the parent's stack a second time.
            let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(101);
            // SAFETY: ends the process at once; nothing of it is used any more.
            unsafe { libc::_exit(code.into()) }
        }
        pid => Ok(pid),
    }
}

/// Whether this is the thread that runs `main`.
pub(crate) fn in_main_thread() -> bool {
    // SAFETY: a plain call.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    thread == std::process::id().into()
}

/// Writes out what the C library's streams have buffered. `fflush(3)`
pub(crate) fn flush_c_streams() {
    // SAFETY: a null stream means all open output streams.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// A descriptor that stands for the process and becomes readable when it ends; close-on-exec. Since Linux 5.3.
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: two ints, as the call wants; it returns a descriptor or -1.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int)?;
    // SAFETY: just opened, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// How a process is named to the kernel: by its pidfd, or, where there is none, by a number that may come to mean another process
/// once somebody has reaped this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) pid: Pid,
    pub(crate) pidfd: Option<BorrowedFd<'a>>,
}

/// Sends a signal. `pidfd_send_signal(2)`, `kill(2)`
pub(crate) fn signal(target: Target<'_>, signal: libc::c_int) -> io::Result<()> {
    let result = match target.pidfd {
        Some(fd) => {
            let info: *const libc::siginfo_t = std::ptr::null();
            // SAFETY: an open pidfd, and no siginfo, which the kernel then fills in as for `kill`.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, info, 0) as libc::c_int }
        }
        // SAFETY: a plain call.
        None => unsafe { libc::kill(target.pid, signal) },
    };
    check(result).map(drop)
}

/// `SIGKILL`, which no process can catch.
pub(crate) const KILL: libc::c_int = libc::SIGKILL;
/// `SIGABRT`, by which a process compiled with `panic = "abort"` ends.
pub(crate) const ABORT: libc::c_int = libc::SIGABRT;
/// The process has ended and has been reaped.
pub(crate) const ESRCH: libc::c_int = libc::ESRCH;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    Signalled {
        signal: i32,
        core: bool,
    },
    /// Somebody else reaped it, or `SIGCHLD` is ignored and the kernel did.
    Unknown,
}

/// Reaps the process if it has ended; with `block`, waits until it has. `waitid(2)`
pub(crate) fn wait(target: Target<'_>, block: bool) -> io::Result<Option<Ended>> {
    let by_number = || waitid(libc::P_PID, target.pid, block);
    match target.pidfd.map(|fd| waitid(libc::P_PIDFD, fd.as_raw_fd(), block)) {
        // Linux 5.3 has pidfds and cannot wait for one.
        Some(Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => by_number(),
        Some(result) => result,
        None => by_number(),
    }
}

/// Waits until a child of this process has ended, and leaves it to be reaped by whoever wants to know how; at once where it has been. `waitid(2)`
pub(crate) fn stay_until_ended(pid: Pid) {
    loop {
        let flags = libc::WEXITED | libc::WNOWAIT;
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `info` is a siginfo_t that the kernel may write.
        match check(unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), flags) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            _ => return,
        }
    }
}

fn waitid(kind: libc::idtype_t, id: libc::c_int, block: bool) -> io::Result<Option<Ended>> {
    let flags = libc::WEXITED | if block { 0 } else { libc::WNOHANG };
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: `info` is a siginfo_t that the kernel may write.
        match check(unsafe { libc::waitid(kind, id as libc::id_t, info.as_mut_ptr(), flags) }) {
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => continue,
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Some(Ended::Unknown)),
            result => result?,
        };
        // SAFETY: a siginfo_t of zeros is valid, and the kernel wrote either nothing or a whole one.
        let info = unsafe { info.assume_init() };
        // SAFETY: after waitid the process fields are those that are set, or all is zero.
        let (pid, status) = (unsafe { info.si_pid() }, unsafe { info.si_status() });
        return Ok((pid != 0).then_some(match info.si_code {
            libc::CLD_EXITED => Ended::Exited(status),
            code => Ended::Signalled { signal: status, core: code == libc::CLD_DUMPED },
        }));
    }
}
