//! Sockets as kernel objects: making a pair, shutting one down, and asking what a descriptor is.

use super::{check, fd};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Two connected seqpacket sockets, both close-on-exec and neither on 0, 1 or 2. `socketpair(2)`
///
/// Close-on-exec is set by the same call, not after it: a `fork` in another thread can never inherit an end by accident.
pub(crate) fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    let mut fds = [-1; 2];
    // SAFETY: the kernel writes exactly two ints, and `fds` is two ints.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so both are open descriptors that nothing else owns.
    let [left, right] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    Ok((fd::keep_above_stdio(left)?, fd::keep_above_stdio(right)?))
}

/// The process, or the system, has no descriptor left.
pub(crate) const EMFILE: libc::c_int = libc::EMFILE;
pub(crate) const ENFILE: libc::c_int = libc::ENFILE;

/// A seqpacket socket that listens, and the other end of the one connection that waits at it; both close-on-exec and neither on 0, 1 or 2.
/// `listen(2)`, `connect(2)`
///
/// A socket that listens must have a name, and by the one that the kernel picks here anybody on the machine could find it (`/proc/net/unix`).
/// There is room for one connection: where this one is made, it is the only one. Where somebody was faster it is `EAGAIN`.
pub(crate) fn seqpacket_waiting() -> io::Result<(OwnedFd, OwnedFd)> {
    let listener = seqpacket(0)?;
    // SAFETY: an address of zeros is one of no family and no name.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // A family without a name has the kernel pick one: unix(7), "autobind".
    let mut length = size_of::<libc::sa_family_t>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `address`, which has them.
    check(unsafe { libc::bind(listener.as_raw_fd(), (&raw const address).cast(), length) })?;
    // SAFETY: a plain call on an open descriptor.
    check(unsafe { libc::listen(listener.as_raw_fd(), 0) })?;
    length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: `length` says how large `address` is, and the kernel writes no more than that.
    check(unsafe { libc::getsockname(listener.as_raw_fd(), (&raw mut address).cast(), &raw mut length) })?;
    let connection = seqpacket(libc::SOCK_NONBLOCK)?;
    // SAFETY: the kernel reads `length` bytes of `address`, as many as it has written.
    check(unsafe { libc::connect(connection.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok((listener, connection))
}

fn seqpacket(flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: a plain call.
    let fd = check(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags, 0) })?;
    // SAFETY: the call succeeded, so it is an open descriptor that nothing else owns.
    fd::keep_above_stdio(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether this is a seqpacket socket that listens. What cannot be looked at is none.
pub(crate) fn is_seqpacket_listener(fd: BorrowedFd<'_>) -> bool {
    let is = |name, value| option(fd, name).is_ok_and(|found| found == value);
    is(libc::SO_DOMAIN, libc::AF_UNIX) && is(libc::SO_TYPE, libc::SOCK_SEQPACKET) && is(libc::SO_ACCEPTCONN, 1)
}

/// Takes the connection that waits at a unix socket that listens, as a new socket of this process alone; `None` where none waits. `accept4(2)`
///
/// It never waits, whatever other holders do: they can clear `O_NONBLOCK`, and take the connection a moment earlier, but they cannot
/// take back a `shutdown`, and then `accept4` fails with `EINVAL` where there is nothing to accept (Linux 6.18, tried).
pub(crate) fn take_waiting(listener: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    shutdown(listener, Direction::Receive)?;
    let nowhere = std::ptr::null_mut();
    // SAFETY: a plain call on an open descriptor; null asks for no address.
    match check(unsafe { libc::accept4(listener.as_raw_fd(), nowhere, nowhere.cast(), libc::SOCK_CLOEXEC) }) {
        // SAFETY: the call succeeded, so it is an open descriptor that nothing else owns.
        Ok(fd) => fd::keep_above_stdio(unsafe { OwnedFd::from_raw_fd(fd) }).map(Some),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EAGAIN)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which direction of a socket to shut down. `shutdown(2)`
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Receive,
    Send,
    Both,
}

/// Shuts one or both directions down, for every holder of the socket in every process.
pub(crate) fn shutdown(socket: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    let how = match direction {
        Direction::Receive => libc::SHUT_RD,
        Direction::Send => libc::SHUT_WR,
        Direction::Both => libc::SHUT_RDWR,
    };
    // SAFETY: a plain call on an open descriptor.
    check(unsafe { libc::shutdown(socket.as_raw_fd(), how) })?;
    Ok(())
}

/// What kind of socket a descriptor is, `None` where it is no socket at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) unix: bool,
    pub(crate) seqpacket: bool,
    pub(crate) connected: bool,
}

pub(crate) fn kind(fd: BorrowedFd<'_>) -> io::Result<Option<Kind>> {
    let domain = match option(fd, libc::SO_DOMAIN) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTSOCK) => return Ok(None),
        // An `O_PATH` descriptor is open, and refuses everything with `EBADF`.
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(None),
        domain => domain?,
    };
    let kind = option(fd, libc::SO_TYPE)?;
    Ok(Some(Kind { unix: domain == libc::AF_UNIX, seqpacket: kind == libc::SOCK_SEQPACKET, connected: is_connected(fd)? }))
}

/// Whether the socket has, or had, a peer. `getpeername(2)`
///
/// A unix socket whose peer has closed still counts as connected: what the peer sent can still be received.
fn is_connected(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let mut length: libc::socklen_t = 0;
    let mut address = libc::sockaddr { sa_family: 0, sa_data: [0; 14] };
    // SAFETY: a length of 0 lets the kernel write nothing into `address`, and both pointers are valid.
    match check(unsafe { libc::getpeername(fd.as_raw_fd(), &raw mut address, &raw mut length) }) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bytes that may wait in the socket's send queue, as the kernel counts them (twice what was asked for). `SO_SNDBUF`, socket(7)
pub(crate) fn send_buffer(socket: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(option(socket, libc::SO_SNDBUF)?).unwrap_or(0))
}

/// Asks for a send queue; the kernel doubles `half` and silently caps it at twice `net.core.wmem_max`.
pub(crate) fn set_send_buffer(socket: BorrowedFd<'_>, half: usize) -> io::Result<()> {
    let half = libc::c_int::try_from(half).unwrap_or(libc::c_int::MAX);
    set_option(socket, libc::SO_SNDBUF, &half)
}

/// Switches off what another holder of the socket may have switched on and a channel does not expect: control messages about the
/// sender, time stamps, peek offsets, time limits. An option that this kernel does not have is off already.
pub(crate) fn reset_options(socket: BorrowedFd<'_>) -> io::Result<()> {
    // include/uapi/asm-generic/socket.h, since Linux 6.5; not in every release of the libc crate.
    const SO_PASSPIDFD: libc::c_int = 76;
    for flag in [libc::SO_PASSCRED, libc::SO_PASSSEC, SO_PASSPIDFD, libc::SO_TIMESTAMP, libc::SO_TIMESTAMPNS, libc::SO_TIMESTAMPING] {
        lenient(set_option(socket, flag, &0))?;
    }
    lenient(set_option(socket, libc::SO_PEEK_OFF, &-1))?;
    let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
    set_option(socket, libc::SO_RCVTIMEO, &never)?;
    set_option(socket, libc::SO_SNDTIMEO, &never)
}

/// The bytes that wait to be received. `ioctl(FIONREAD)`, unix(7)
pub(crate) fn queued(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// The bytes that this end has sent and its peer has not received, as the kernel counts them against [`send_buffer`]. `ioctl(SIOCOUTQ)`, unix(7)
pub(crate) fn unreceived(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one int. `SIOCOUTQ` is `TIOCOUTQ` under another name.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Sees to it that closing these, which nobody asked for, takes no time: whoever sent a TCP socket may have asked it to linger when
/// closed, for as long as he liked. Most are no sockets, and the call fails.
pub(crate) fn close_at_once(descriptors: &[OwnedFd]) {
    let never = libc::linger { l_onoff: 0, l_linger: 0 };
    for descriptor in descriptors {
        let _ = set_option(descriptor.as_fd(), libc::SO_LINGER, &never);
    }
}

fn lenient(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP)) => Ok(()),
        result => result,
    }
}

pub(super) fn option(fd: BorrowedFd<'_>, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `length` says how large `value` is, and the kernel writes no more than that.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length) })?;
    Ok(value)
}

fn set_option<V>(fd: BorrowedFd<'_>, name: libc::c_int, value: &V) -> io::Result<()> {
    let length = size_of::<V>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes, which is how large `value` is.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw const *value).cast(), length) })?;
    Ok(())
}
