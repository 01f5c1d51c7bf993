//! Which descriptors a program inherits, decided by its process between `fork` and `exec`.
//!
//! [`super::alone`] and [`super::apart`] do without; this is for kernels without `close_range`, and for what only the process itself can ask
//! for. Everything here that runs in the child is async-signal-safe (signal-safety(7)): plain system calls, no allocation, no lock. Other
//! threads of the parent may have held any.

use super::check;
use super::process::Pid;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A plan, carried out by each child that the command starts while this guard is there. What it keeps open stays open that long.
#[must_use = "the command behaves as std's once this is dropped"]
pub(crate) struct Armed<'a>(Arc<Plan>, PhantomData<BorrowedFd<'a>>);

struct Plan {
    keep: Box<[RawFd]>,
    /// This process, if the child is to be killed when the thread that starts it ends. `PR_SET_PDEATHSIG`
    dies_with: Option<u32>,
    /// A `Command` does not let go of a hook; it is told when to do nothing instead.
    armed: AtomicBool,
}

/// Makes the command close every descriptor but stdin, stdout, stderr and these to its program, whatever this process has open.
pub(crate) fn arm<'a>(command: &mut Command, keep: &[BorrowedFd<'a>], die_with_parent: bool) -> Armed<'a> {
    let keep = keep.iter().map(AsRawFd::as_raw_fd).collect();
    let plan = Arc::new(Plan { keep, dies_with: die_with_parent.then(std::process::id), armed: AtomicBool::new(true) });
    let hook = Arc::clone(&plan);
    // SAFETY: `carry_out` is async-signal-safe, as its callees are; the `Arc` is only read through in the child.
    unsafe { command.pre_exec(move || if hook.armed.load(Ordering::Relaxed) { hook.carry_out() } else { Ok(()) }) };
    Armed(plan, PhantomData)
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.armed.store(false, Ordering::Relaxed);
    }
}

impl Plan {
    /// In the child.
    fn carry_out(&self) -> io::Result<()> {
        if let Some(parent) = self.dies_with {
            die_with(parent)?;
        }
        mark_all().or_else(|_| mark_listed()).or_else(|_| mark_each())?;
        // The number stays what it is in the parent, so there is no `dup2` onto itself, which would leave close-on-exec set.
        self.keep.iter().try_for_each(|&fd| set_flags(fd, 0))
    }
}

/// Has the kernel kill this process when the thread that forked it ends. `PR_SET_PDEATHSIG`, prctl(2)
fn die_with(parent: u32) -> io::Result<()> {
    let signal = libc::SIGKILL as libc::c_ulong;
    // SAFETY: a plain call about this process.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) })?;
    // A parent that ended before this would never be noticed.
    // SAFETY: a plain call.
    let now: Pid = unsafe { libc::getppid() };
    if now.unsigned_abs() == parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// The first descriptor that is not stdio.
pub(super) const FIRST: RawFd = 3;

/// Lets the program inherit these.
pub(super) fn keep_open(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    keep.iter().try_for_each(|fd| set_flags(fd.as_raw_fd(), 0))
}

pub(super) fn set_flags(fd: RawFd, flags: libc::c_int) -> io::Result<()> {
    // SAFETY: a plain call; a number that is not open is an error.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }).map(drop)
}

/// Makes every descriptor from 3 on close-on-exec. `close_range(2)`, Linux 5.9, its flag 5.11.
fn mark_all() -> io::Result<()> {
    let (first, last) = (FIRST as libc::c_uint, libc::c_uint::MAX);
    // SAFETY: a plain call. It closes nothing; the process is about to become another program.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    check(result as libc::c_int).map(drop)
}

/// Room for some entries of a directory, aligned as they are.
const ENTRIES: usize = 1024;

/// The same for what `/proc/self/fd` lists, where that call is missing.
fn mark_listed() -> io::Result<()> {
    // Whatever is listed is open.
    each_listed(|fd| set_flags(fd, libc::FD_CLOEXEC))
}

/// Does this with every descriptor from 3 on that `/proc/self/fd` lists. `getdents64(2)`: `readdir` would allocate.
///
/// The listing's own descriptor, close-on-exec and closed when this returns, is among them.
pub(super) fn each_listed(mut each: impl FnMut(RawFd) -> io::Result<()>) -> io::Result<()> {
    /// `struct linux_dirent64`: inode, offset, length of the entry, type, and then the name.
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a path with its final NUL.
    let listing = check(unsafe { libc::open(c"/proc/self/fd".as_ptr(), flags) })?;
    // SAFETY: just opened, and nothing else owns it.
    let listing = unsafe { OwnedFd::from_raw_fd(listing) };
    let mut buffer = [0_u64; ENTRIES / 8];
    loop {
        // SAFETY: the kernel writes at most `ENTRIES` bytes, which `buffer` has.
        let filled = unsafe { libc::syscall(libc::SYS_getdents64, listing.as_raw_fd(), buffer.as_mut_ptr(), ENTRIES) };
        let filled = usize::try_from(filled).map_err(|_| io::Error::last_os_error())?;
        if filled == 0 {
            return Ok(());
        }
        // SAFETY: initialised, and any bytes are bytes.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), ENTRIES) };
        let mut rest = bytes.get(..filled).unwrap_or_default();
        while let (Some(&[low, high]), Some(name)) = (rest.get(LENGTH_AT..LENGTH_AT + 2), rest.get(NAME_AT..)) {
            if let Some(fd) = number(name).filter(|&fd| fd >= FIRST) {
                each(fd)?;
            }
            rest = rest.get(usize::from(u16::from_ne_bytes([low, high])).max(NAME_AT)..).unwrap_or_default();
        }
    }
}

/// The decimal number that ends in a NUL; `.` and `..` are none.
fn number(name: &[u8]) -> Option<RawFd> {
    let digits = name.split(|byte| *byte == 0).next().filter(|digits| !digits.is_empty())?;
    digits.iter().try_fold(0, |number: RawFd, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// The same for every number that may be open, where `/proc` is missing too.
fn mark_each() -> io::Result<()> {
    /// The kernel's default for the most descriptors of any process, `fs.nr_open` (proc_sys_fs(5)).
    const NR_OPEN: libc::rlim_t = 1024 * 1024;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid pointer to the struct that the call fills in.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    // The hard limit: the soft one may have been lowered below numbers that were open already.
    let end = RawFd::try_from(limit.rlim_max.min(NR_OPEN)).unwrap_or(RawFd::MAX);
    for fd in FIRST..end {
        match set_flags(fd, libc::FD_CLOEXEC) {
            Err(error) if error.raw_os_error() != Some(libc::EBADF) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
