//! What a hostile peer, or a careless program, does with descriptors and the standard library does not offer.

#![allow(unsafe_code, dead_code, reason = "raw calls; each test file uses what it needs")]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Switches a `SOL_SOCKET` option on; `false` where this kernel does not have it.
pub(crate) fn switch_on(socket: BorrowedFd<'_>, option: libc::c_int) -> bool {
    let on: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel reads one int.
    unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), size) == 0 }
}

/// Both ends of a pipe.
pub(crate) fn pipe() -> [OwnedFd; 2] {
    let mut fds = [-1; 2];
    // SAFETY: the kernel writes two ints.
    assert_eq!(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: just made, and owned by nobody else.
    fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket of this family and type, not connected.
pub(crate) fn socket(family: libc::c_int, kind: libc::c_int) -> OwnedFd {
    // SAFETY: a plain call.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: just made, and owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A descriptor of no type in the file system.
pub(crate) fn eventfd() -> OwnedFd {
    // SAFETY: a plain call.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    assert!(fd >= 0);
    // SAFETY: just made, and owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Binds a unix socket to a name of the kernel's choosing and listens.
pub(crate) fn listen(socket: &OwnedFd) {
    let family = libc::AF_UNIX as libc::sa_family_t;
    // SAFETY: an address of the family alone is what the length says.
    let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const family).cast(), size_of_val(&family) as libc::socklen_t) };
    assert_eq!(bound, 0);
    // SAFETY: a plain call.
    assert_eq!(unsafe { libc::listen(socket.as_raw_fd(), 1) }, 0);
}

/// Closes a number, whoever owns it.
///
/// # Safety
///
/// Nothing uses the number afterwards as what it was.
pub(crate) unsafe fn close(fd: RawFd) {
    // SAFETY: the caller's promise.
    unsafe { libc::close(fd) };
}

/// Closes the process's standard streams, as some programs are started.
pub(crate) fn close_stdio() {
    for fd in 0..3 {
        // SAFETY: the standard library's streams write to whatever has the number, which is what is tested.
        unsafe { close(fd) };
    }
}
