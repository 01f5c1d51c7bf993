//! The floor: packets by `sendmsg(2)` and `recvmsg(2)` of the C library, with a descriptor or with memory in them, and nothing else.
//!
//! What the kernel sees is what it sees of the library: the same socket type and send queue, a header of 16 bytes and a body as two
//! iovecs, the body at page offset 64, and on receipt the same room for body and control messages. What fits in no packet goes in several, into
//! one buffer that is used again each time, or in memory: made, written, sealed, mapped and populated by the calls that do that. Nothing
//! looks at what arrives.

#![allow(unsafe_code, reason = "the calls are made by hand, to have nothing between them and the measurement")]
#![allow(dead_code, reason = "each benchmark uses what it needs")]

use std::io;
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

const HEADER: usize = 16;
/// The room for a packet that a receiver of the library makes.
const ROOM: usize = (4 << 20) + (64 << 10);
/// The words of control messages that a receiver of the library has room for: 253 descriptors and their header, and 64 words more.
const CONTROL_WORDS: usize = (16 + 253 * 4_usize).div_ceil(8) + 64;
/// A control message with one descriptor, in words: its length, its level and type, and the descriptor. cmsg(3)
const RIGHTS: u64 = 16 + 4;
const RIGHTS_OF_SOCKETS: u64 = (libc::SCM_RIGHTS as u64) << 32 | libc::SOL_SOCKET as u64;
/// What is longer than a packet may be goes in packets of so many bytes.
const LONGEST: usize = 4 << 20;
const PIECE: usize = 1 << 20;
const PAGE: usize = 4096;
const PAGE_OFFSET: usize = 64;

/// The bytes of packets, sent from here and received into here; one per thread, as in the library.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(crate) fn new() -> Buffer {
        Buffer::behind(0)
    }

    /// With room for another packet behind so many bytes.
    pub(crate) fn behind(len: usize) -> Buffer {
        let bytes = vec![0; len + ROOM + PAGE];
        let start = (PAGE + PAGE_OFFSET - bytes.as_ptr().addr() % PAGE) % PAGE;
        Buffer { bytes, start }
    }

    /// The first `len` bytes of the body.
    pub(crate) fn body(&mut self, len: usize) -> &mut [u8] {
        self.part(0, len)
    }

    fn part(&mut self, from: usize, len: usize) -> &mut [u8] {
        &mut self.bytes[self.start + from..][..len]
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

    /// Sends the first `len` bytes of the buffer's body, with a header before each packet.
    pub(crate) fn send(&self, buffer: &mut Buffer, len: usize) -> io::Result<()> {
        let piece = if len > LONGEST { PIECE } else { len };
        (0..len).step_by(piece).try_for_each(|from| self.send_part(buffer.part(from, piece.min(len - from)), None))
    }

    /// The same in one packet, with a descriptor.
    pub(crate) fn send_with(&self, buffer: &mut Buffer, len: usize, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.send_part(buffer.body(len), descriptor)
    }

    fn send_part(&self, body: &mut [u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut header = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[8..].copy_from_slice(&(body.len() as u64).to_le_bytes());
        let parts = [part(&mut header), part(body)];
        // SAFETY: a msghdr of zeros is an empty one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len() as _;
        let mut control = descriptor.map(|descriptor| [RIGHTS, RIGHTS_OF_SOCKETS, descriptor.as_raw_fd() as u64]);
        if let Some(control) = &mut control {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(control) as _;
        }
        // SAFETY: the parts outlive the call, and the kernel reads no more of them than their lengths.
        check(unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) })?;
        Ok(())
    }

    /// Receives a packet into the buffer: the length of its body, or `None` at the end.
    pub(crate) fn receive(&self, buffer: &mut Buffer) -> io::Result<Option<usize>> {
        self.receive_by(buffer, Duration::ZERO)
    }

    /// The same, awake for so long before it sleeps.
    pub(crate) fn receive_by(&self, buffer: &mut Buffer, awake: Duration) -> io::Result<Option<usize>> {
        self.receive_behind(0, buffer, awake)
    }

    /// The same, behind so many bytes that are there.
    pub(crate) fn receive_behind(&self, len: usize, buffer: &mut Buffer, awake: Duration) -> io::Result<Option<usize>> {
        let room = buffer.part(len, ROOM);
        let start = Instant::now();
        while start.elapsed() < awake {
            match self.receive_part(room, libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::hint::spin_loop(),
                result => return result.map(|(len, _)| len),
            }
        }
        self.receive_part(room, 0).map(|(len, _)| len)
    }

    /// Receives a packet, and gives the descriptor that came with it.
    pub(crate) fn receive_descriptor(&self, buffer: &mut Buffer) -> io::Result<Option<OwnedFd>> {
        self.receive_part(buffer.body(ROOM), 0).map(|(_, descriptor)| descriptor)
    }

    fn receive_part(&self, room: &mut [u8], flags: libc::c_int) -> io::Result<(Option<usize>, Option<OwnedFd>)> {
        let mut header = [0; HEADER];
        let parts = [part(&mut header), part(room)];
        let mut control = [MaybeUninit::<u64>::uninit(); CONTROL_WORDS];
        // SAFETY: a msghdr of zeros is an empty one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len() as _;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: every buffer that `message` names is valid for writes of the length given with it.
        let bytes = check(unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC | flags) })?;
        let mut descriptor = None;
        if message.msg_controllen as usize >= RIGHTS as usize {
            // SAFETY: the kernel has written a header of two words, and the descriptor behind it.
            let fd = unsafe { control[2].assume_init() } as libc::c_int;
            // SAFETY: these benchmarks being what they are, it is one descriptor, which nothing else owns.
            descriptor = Some(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        Ok((bytes.checked_sub(HEADER), descriptor))
    }

    /// Sends the bytes in sealed memory.
    pub(crate) fn send_memory(&self, buffer: &mut Buffer, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the name ends with a zero.
        let fd = check(unsafe { libc::memfd_create(c"raw".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) } as isize)?;
        // SAFETY: the call succeeded, so this is an open descriptor that nothing else owns.
        let memory = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
        let mut memory = std::fs::File::from(memory);
        io::Write::write_all(&mut memory, bytes)?;
        let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        // SAFETY: an int and nothing else is passed.
        check(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, seals) } as isize)?;
        self.send_with(buffer, 0, Some(memory.as_fd()))
    }

    /// Maps the memory that comes next: so many bytes of it. `None` at the end.
    pub(crate) fn receive_memory(&self, buffer: &mut Buffer, len: usize) -> io::Result<Option<Memory>> {
        let Some(memory) = self.receive_descriptor(buffer)? else { return Ok(None) };
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping, which takes the place of no other.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, flags, memory.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Some(Memory { start: start.cast(), len }))
    }
}

/// Sealed memory, mapped.
pub(crate) struct Memory {
    start: *const u8,
    len: usize,
}

// SAFETY: nobody writes to it.
unsafe impl Send for Memory {}

impl std::ops::Deref for Memory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is as long as that and stays until this is dropped, and its seals keep everybody from writing.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: nothing borrowed from it is left.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.len) };
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
