//! The floor: packets by `sendmsg(2)` and `recvmsg(2)` of the C library, and nothing else.
//!
//! What the kernel sees is what it sees of the library: the same socket type and send queue, a header of 16 bytes and a body as two
//! iovecs, the body at page offset 64, and on receipt the same room for body and control messages.

#![allow(unsafe_code, reason = "the calls are made by hand, to have nothing between them and the measurement")]

use std::io;
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const HEADER: usize = 16;
/// The room for a packet that a receiver of the library makes.
const ROOM: usize = 4 << 20;
/// The words of control messages that a receiver of the library has room for: 253 descriptors and their header, and 64 words more.
const CONTROL_WORDS: usize = (16 + 253 * 4_usize).div_ceil(8) + 64;
const PAGE: usize = 4096;
const PAGE_OFFSET: usize = 64;

/// The bytes of packets, sent from here and received into here; one per thread, as in the library.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(crate) fn new() -> Buffer {
        let bytes = vec![0; ROOM + PAGE];
        let start = (PAGE + PAGE_OFFSET - bytes.as_ptr().addr() % PAGE) % PAGE;
        Buffer { bytes, start }
    }

    /// The first `len` bytes of the body.
    pub(crate) fn body(&mut self, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + len]
    }
}

/// One end of a pair.
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// Two connected sockets with a send queue like that of `model`.
    pub(crate) fn pair_like(model: BorrowedFd<'_>) -> io::Result<(Socket, Socket)> {
        let mut queue: libc::c_int = 0;
        let mut length = size_of::<libc::c_int>() as libc::socklen_t;
        let fd = model.as_raw_fd();
        // SAFETY: `length` says how large `queue` is, and the kernel writes no more than that.
        check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw mut queue).cast(), &raw mut length) } as isize)?;
        let mut fds = [-1; 2];
        // SAFETY: the kernel writes exactly two ints, and `fds` is two ints.
        check(unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) } as isize)?;
        // SAFETY: the call succeeded, so both are open descriptors that nothing else owns.
        let [left, right] = fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        // The kernel reports twice what it was asked for.
        let half = queue / 2;
        for end in [&left, &right] {
            let (fd, half) = (end.as_raw_fd(), (&raw const half).cast());
            // SAFETY: the kernel reads one int.
            check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, half, length) } as isize)?;
        }
        Ok((Socket(left), Socket(right)))
    }

    /// Sends a header and the first `len` bytes of the buffer's body.
    pub(crate) fn send(&self, buffer: &mut Buffer, len: usize) -> io::Result<()> {
        let mut header = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[8..].copy_from_slice(&(len as u64).to_le_bytes());
        let body = buffer.body(len);
        let parts = [part(&mut header), part(body)];
        // SAFETY: a msghdr of zeros is an empty one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len() as _;
        // SAFETY: the parts outlive the call, and the kernel reads no more of them than their lengths.
        check(unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) })?;
        Ok(())
    }

    /// Receives a packet into the buffer: the length of its body, or `None` at the end.
    pub(crate) fn receive(&self, buffer: &mut Buffer) -> io::Result<Option<usize>> {
        let mut header = [0; HEADER];
        let parts = [part(&mut header), part(buffer.body(ROOM))];
        let mut control = [MaybeUninit::<u64>::uninit(); CONTROL_WORDS];
        // SAFETY: a msghdr of zeros is an empty one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len() as _;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: every buffer that `message` names is valid for writes of the length given with it.
        let bytes = check(unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) })?;
        Ok(bytes.checked_sub(HEADER))
    }
}

impl From<OwnedFd> for Socket {
    /// One end of a pair that somebody else has made.
    fn from(fd: OwnedFd) -> Socket {
        Socket(fd)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn part(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

/// The processors that this process may run on.
pub(crate) fn processors() -> io::Result<Vec<usize>> {
    // SAFETY: a cpu_set_t is an array of words, and zeros make it the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the size given is that of `set`.
    check(unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } as isize)?;
    // SAFETY: every number is below CPU_SETSIZE, which is how many a set has.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

/// Keeps the calling thread on one processor.
pub(crate) fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: as in `processors`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` comes from `processors`, so it is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the size given is that of `set`.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } as isize)?;
    Ok(())
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
