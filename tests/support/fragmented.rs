//! A kernel whose memory is in small pieces: `sendmsg` as this test binary calls it fails with `ENOBUFS` for packets above a size.

#![allow(unsafe_code, reason = "it stands in front of the C library's function")]

use std::sync::atomic::{AtomicUsize, Ordering};

static LARGEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// From now on packets of more bytes than this are refused.
pub(crate) fn largest_packet(bytes: usize) {
    LARGEST.store(bytes, Ordering::Relaxed);
}

/// How many have been.
pub(crate) fn refused() -> usize {
    REFUSED.load(Ordering::Relaxed)
}

/// # Safety
///
/// That of the C library's `sendmsg`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn sendmsg(fd: libc::c_int, message: *const libc::msghdr, flags: libc::c_int) -> libc::ssize_t {
    // SAFETY: the caller's promise: a msghdr.
    let parts = unsafe { &*message };
    // SAFETY: and so many iovecs behind its pointer.
    let parts = unsafe { std::slice::from_raw_parts(parts.msg_iov, parts.msg_iovlen) };
    if parts.iter().map(|part| part.iov_len).sum::<usize>() > LARGEST.load(Ordering::Relaxed) {
        REFUSED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: a plain call.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: this thread's errno.
        unsafe { errno.write(libc::ENOBUFS) };
        return -1;
    }
    // SAFETY: the call itself, as the caller has asked for it. (It returns a long; the C library's wrapper says -1 and sets errno.)
    (unsafe { libc::syscall(libc::SYS_sendmsg, fd, message, flags) }) as libc::ssize_t
}
