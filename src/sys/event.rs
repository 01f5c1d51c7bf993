//! Descriptors that become readable at somebody's word, or at a moment. `eventfd(2)`, `timerfd_create(2)`

use super::{check, fd};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Becomes readable when it is written to; close-on-exec, and not on 0, 1 or 2.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: a plain call.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: just made, and nothing else owns it.
    fd::keep_above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Writes to an eventfd. One `write`, and `errno` is as it was: a signal handler may do this.
pub(crate) fn notify(eventfd: BorrowedFd<'_>) {
    let one: u64 = 1;
    // SAFETY: the address of this thread's `errno`, which it has for as long as it lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // It could fail only for a counter that is full, after 2^64 times.
    // SAFETY: eight bytes, as the call is told.
    unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), size_of_val(&one)) };
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// A timer on the monotonic clock, which is not set; close-on-exec, and not on 0, 1 or 2.
pub(crate) fn timerfd() -> io::Result<OwnedFd> {
    // SAFETY: a plain call.
    let fd = check(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) })?;
    // SAFETY: just made, and nothing else owns it.
    fd::keep_above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes the timer readable after this time, once and until it is set again; or never. That it was readable before is forgotten.
pub(crate) fn set_timer(timerfd: BorrowedFd<'_>, left: Option<Duration>) -> io::Result<()> {
    let never = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let value = left.map_or(never, |left| {
        // No time at all would mean never.
        let left = left.max(Duration::from_nanos(1));
        libc::timespec { tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX), tv_nsec: left.subsec_nanos().into() }
    });
    let setting = libc::itimerspec { it_interval: never, it_value: value };
    // SAFETY: the kernel reads one setting, and is not asked for the one before.
    check(unsafe { libc::timerfd_settime(timerfd.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut()) })?;
    Ok(())
}
