//! One packet out, one packet in, with the descriptors that travel beside it. `sendmsg(2)`, `recvmsg(2)`, unix(7)
//!
//! `SCM_RIGHTS` is built and parsed here and nowhere else. Every descriptor that arrives is owned before anything is checked.

use super::check_len;
use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Most descriptors one control message may carry.
///
/// The kernel's own limit, `SCM_MAX_FD` in `include/net/scm.h`: above it `sendmsg(2)` fails with `EINVAL` (unix(7)).
pub(crate) const SCM_MAX_FD: usize = 253;

/// A control message's header (16 bytes on 64-bit machines) and `SCM_MAX_FD` ints, in words, rounded up.
const RIGHTS_WORDS: usize = (size_of::<libc::cmsghdr>() + SCM_MAX_FD * size_of::<RawFd>()).div_ceil(8);

/// Room beside the descriptors for what a co-holder of the socket may switch on behind our back: credentials (32 bytes), a pidfd
/// (24), a security label, time stamps. It keeps those from displacing a descriptor.
const EXTRA_WORDS: usize = 64;

/// `SCM_PIDFD`: `include/linux/socket.h`, since Linux 6.5; not in every release of the libc crate.
const SCM_PIDFD: libc::c_int = 4;

/// The packet is larger than the socket's send queue, or has too many parts.
pub(crate) const EMSGSIZE: libc::c_int = libc::EMSGSIZE;
/// The kernel has no memory in one piece for a packet of this size.
pub(crate) const ENOBUFS: libc::c_int = libc::ENOBUFS;
/// The user has more descriptors under way, unread in sockets, than `RLIMIT_NOFILE` of the sending process.
pub(crate) const ETOOMANYREFS: libc::c_int = libc::ETOOMANYREFS;

/// Whether a call may sleep in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Yes,
    No,
}

impl Block {
    fn flag(self) -> libc::c_int {
        // Per call, never by `O_NONBLOCK`: that belongs to the description, which other processes may share.
        if self == Block::Yes { 0 } else { libc::MSG_DONTWAIT }
    }
}

/// Sends the parts as one packet. Never raises `SIGPIPE`, and never sends a part of it.
#[inline]
pub(crate) fn send<D: AsFd>(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], descriptors: &[D], block: Block) -> io::Result<usize> {
    if descriptors.len() > SCM_MAX_FD {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: a msghdr of zeros is an empty one; musl's has private padding, so it cannot be written as a literal.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // `IoSlice` is guaranteed to have the layout of an iovec, and the kernel only reads through it here.
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len() as _;

    // Zeroed only where it is used: the kernel is told of no control buffer otherwise.
    let mut control: [u64; RIGHTS_WORDS];
    if !descriptors.is_empty() {
        control = [0; RIGHTS_WORDS];
        let bytes = descriptors.len() * size_of::<RawFd>();
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: arithmetic only.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(bytes as _) } as _;
        // SAFETY: `message` names a control buffer of at least one header.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: that buffer is `control`, which is 8-aligned, initialised, and referred to by nothing else until the call.
        let header = unsafe { &mut *header };
        header.cmsg_level = libc::SOL_SOCKET;
        header.cmsg_type = libc::SCM_RIGHTS;
        // SAFETY: arithmetic only.
        header.cmsg_len = unsafe { libc::CMSG_LEN(bytes as _) } as _;
        // SAFETY: the data part of a header that `control` holds whole.
        let mut next = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
        for descriptor in descriptors {
            // SAFETY: at most `SCM_MAX_FD` ints are written, and `control` has room for that many behind the header.
            unsafe { next.write_unaligned(descriptor.as_fd().as_raw_fd()) };
            // SAFETY: one past the int just written is at most the end of `control`.
            next = unsafe { next.add(1) };
        }
    }
    // SAFETY: `message` points to parts, descriptors and control bytes that all outlive the call.
    check_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | block.flag()) })
}

/// When a packet could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Now,
    /// The queue is full.
    Later,
    /// Nobody can receive.
    Never,
}

/// Looks whether a small packet could be sent. Sends nothing.
///
/// `poll` does not tell that the peer has shut down receiving, and calls a queue full until three quarters of it are free. A send of one byte
/// from address 0 tells both: `EPIPE` or `ECONNRESET` where nobody can receive, `EAGAIN` where the queue is full, and `EFAULT` once
/// everything else is in order (Linux 6.18, tried).
pub(crate) fn room(socket: BorrowedFd<'_>) -> io::Result<Room> {
    let nowhere = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 1 };
    // SAFETY: a msghdr of zeros is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = (&raw const nowhere).cast_mut();
    message.msg_iovlen = 1;
    // SAFETY: the kernel reads from address 0 on our behalf, finds nothing mapped and says so; nothing is written anywhere.
    match check_len(unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) }) {
        Ok(_) => Ok(Room::Now),
        Err(error) => match error.raw_os_error() {
            Some(libc::EFAULT | libc::EINTR) => Ok(Room::Now),
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => Ok(Room::Later),
            Some(libc::EPIPE | libc::ECONNRESET) => Ok(Room::Never),
            _ => Err(error),
        },
    }
}

/// What one `recvmsg` brought.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Bytes received, into `head` first and then into the tails.
    pub(crate) bytes: usize,
    /// The packet was longer than the room for it; the rest is gone.
    pub(crate) cut: bool,
    /// Descriptors were dropped by the kernel: there was room in the buffer, so there was none in the process's table.
    pub(crate) descriptors_cut: bool,
}

/// Receives one packet: `head` is filled first, the rest is appended to the tails, one after the other, within their spare capacity. Descriptors
/// are appended to `descriptors`, close-on-exec and in the order of sending.
#[inline]
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    head: &mut [u8],
    tails: [&mut Vec<u8>; 2],
    descriptors: &mut impl Extend<OwnedFd>,
    block: Block,
) -> io::Result<Arrival> {
    let [first, second] = tails;
    let room = first.spare_capacity_mut().len();
    let part = |bytes: &mut [MaybeUninit<u8>]| libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let parts = [
        libc::iovec { iov_base: head.as_mut_ptr().cast(), iov_len: head.len() },
        part(first.spare_capacity_mut()),
        part(second.spare_capacity_mut()),
    ];
    let mut control = [MaybeUninit::<u64>::uninit(); RIGHTS_WORDS + EXTRA_WORDS];
    // SAFETY: a msghdr of zeros is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_ptr().cast_mut();
    message.msg_iovlen = parts.len() as _;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every buffer that `message` names is valid for writes of the length given with it.
    let bytes = check_len(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC | block.flag()) })?;
    // Own what arrived before looking at anything else.
    own_descriptors(&message, descriptors);
    let appended = bytes.saturating_sub(head.len());
    // SAFETY: the kernel filled `head`, and then this many bytes of the first tail's spare capacity, which has room for that many.
    unsafe { first.set_len(first.len() + appended.min(room)) };
    // SAFETY: the rest went into the second's; the kernel never reports more than there was room for, because MSG_TRUNC is not among the
    // flags passed in.
    unsafe { second.set_len(second.len() + appended.saturating_sub(room)) };
    let (cut, descriptors_cut) = (message.msg_flags & libc::MSG_TRUNC != 0, message.msg_flags & libc::MSG_CTRUNC != 0);
    Ok(Arrival { bytes, cut, descriptors_cut })
}

/// Takes ownership of every descriptor in the control messages that the kernel has just written for `message`.
#[inline]
fn own_descriptors(message: &libc::msghdr, owned: &mut impl Extend<OwnedFd>) {
    // SAFETY: the kernel has set `msg_controllen` to what it wrote into the 8-aligned control buffer.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` return null or a header that lies whole within the control buffer.
        let header = unsafe { next.read_unaligned() };
        // SAFETY: as above; the data follows the header.
        let data = unsafe { libc::CMSG_DATA(next) }.cast::<RawFd>();
        // SAFETY: arithmetic only.
        let count = (header.cmsg_len as usize).saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize) / size_of::<RawFd>();
        match (header.cmsg_level, header.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => owned.extend((0..count).filter_map(|index| take(data, index))),
            // Somebody switched SO_PASSPIDFD on: a descriptor that nobody asked for, closed at once.
            (libc::SOL_SOCKET, SCM_PIDFD) => (0..count.min(1)).for_each(|index| drop(take(data, index))),
            _ => {}
        }
        // SAFETY: `next` is a header of this message's control buffer.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
}

/// Owns the `index`th descriptor of a control message's data. For a pidfd the kernel may write an error number instead.
fn take(data: *const RawFd, index: usize) -> Option<OwnedFd> {
    // SAFETY: `own_descriptors` asks only for indices within the length that the kernel wrote into the header.
    let slot = unsafe { data.add(index) };
    // SAFETY: as above; CMSG_DATA is not promised to be aligned for ints.
    let fd = unsafe { slot.read_unaligned() };
    // SAFETY: not negative, so the kernel installed this descriptor for this call; each slot is taken once.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
