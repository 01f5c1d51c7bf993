//! Starting a command from a thread with a descriptor table of its own, so that nothing has to be done between `fork` and `exec`.
//!
//! A hook in the child forces std to `fork`, which copies the page tables: 20 ms for a parent of 256 MiB (Linux 6.18, measured), where a
//! command without one shares the memory until `exec`. So the flags are set beforehand instead, in a copy of the descriptor table that
//! only a short-lived thread sees; [`super::alone`] needs none where there is no other thread. The child inherits that copy; all else that
//! belongs to a thread is as in the caller, because the thread is new and has it from there.
//!
//! The thread closes its copy before it ends. In a program that has been started, what is not for it is open for some microseconds more,
//! until `exec` has closed it, as after any `spawn`.

use super::check;
use super::exec::{self, FIRST};
use super::message::{self, Block};
use super::socket;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command};
use std::thread;

/// A program that has been started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    /// Our ends of the pipes to its stdin, from its stdout and its stderr, where the command asked for them; or why they were lost.
    pub(crate) pipes: io::Result<[Option<OwnedFd>; 3]>,
}

impl Started {
    /// In the process's own descriptor table.
    pub(crate) fn here(child: Child) -> Started {
        Started { pid: child.id(), pipes: Ok(pipes(child)) }
    }
}

fn pipes(mut child: Child) -> [Option<OwnedFd>; 3] {
    [child.stdin.take().map(OwnedFd::from), child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)]
}

/// Enough for `Command::spawn`, which keeps its paths and lists on the heap. Chosen, not tuned.
const STACK: usize = 256 * 1024;

/// Starts the command; its program inherits stdin, stdout, stderr, these descriptors and no others. `None` where that cannot be done in
/// this way: there is no `close_range` (Linux 5.11), or no room for a thread. Nothing has been started then.
pub(crate) fn spawn(command: &mut Command, keep: &[BorrowedFd<'_>]) -> Option<io::Result<Started>> {
    let (to_caller, here) = match socket::seqpacket_pair() {
        Ok(pair) => pair,
        Err(error) => return Some(Err(error)),
    };
    let started = thread::scope(|scope| {
        let apart = || spawn_in_own_table(command, keep, to_caller.as_fd());
        thread::Builder::new().stack_size(STACK).spawn_scoped(scope, apart).ok()?.join().ok()?
    })?;
    Some(started.map(|(pid, piped)| Started { pid, pipes: receive(here.as_fd(), piped) }))
}

/// In the thread. What `Command::spawn` opens is open in this thread's table only, so it is sent to the caller's.
fn spawn_in_own_table(command: &mut Command, keep: &[BorrowedFd<'_>], to_caller: BorrowedFd<'_>) -> Option<io::Result<(u32, [bool; 3])>> {
    unshare_and_mark().ok()?;
    let started = exec::keep_open(keep).and_then(|()| command.spawn()).map(|child| {
        let pid = child.id();
        let pipes = pipes(child);
        let piped = [pipes[0].is_some(), pipes[1].is_some(), pipes[2].is_some()];
        let pipes: Vec<_> = pipes.into_iter().flatten().collect();
        if !pipes.is_empty() {
            // If it fails, nothing arrives, which is an error there.
            let _ = message::send(to_caller, &[IoSlice::new(&[0])], &pipes, Block::No);
        }
        (pid, piped)
    });
    close_table();
    Some(started)
}

/// Gives this thread a copy of the descriptor table, and makes all in it from 3 on close-on-exec. `close_range(2)`
fn unshare_and_mark() -> io::Result<()> {
    let (first, last) = (FIRST as libc::c_uint, libc::c_uint::MAX);
    let flags = libc::CLOSE_RANGE_UNSHARE | libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: a plain call. Every descriptor of the process is still there, under its number, in this thread too; none is closed.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    check(result as libc::c_int).map(drop)
}

/// Closes what this thread's copy of the table holds.
///
/// The kernel would do so too, but after the caller has seen the thread end. A file that the caller then closes would still be open here, and
/// if it was open for writing, could not be executed (`ETXTBSY`).
fn close_table() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the call fills the set in.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // A signal handler must not find descriptors gone that it writes to. From here on handlers run in other threads.
    // SAFETY: `all` is initialised, and a null pointer asks for nothing back.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut()) };
    // SAFETY: a plain call. The table is this thread's own since `unshare_and_mark`, and the thread does nothing more with descriptors:
    // it owns none, and ends.
    unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
}

/// Takes the pipes that the thread has sent.
fn receive(from: BorrowedFd<'_>, piped: [bool; 3]) -> io::Result<[Option<OwnedFd>; 3]> {
    let mut pipes = [None, None, None];
    if piped == [false; 3] {
        return Ok(pipes);
    }
    let mut arrived = Vec::new();
    message::receive(from, &mut [0], [&mut Vec::new(), &mut Vec::new()], &mut arrived, Block::No)?;
    let mut arrived = arrived.into_iter();
    for (pipe, _) in pipes.iter_mut().zip(piped).filter(|(_, piped)| *piped) {
        // Fewer than were sent: the table of this process is full.
        let fd = arrived.next().ok_or_else(|| io::Error::from_raw_os_error(libc::EMFILE))?;
        *pipe = Some(super::fd::keep_above_stdio(fd)?);
    }
    Ok(pipes)
}
