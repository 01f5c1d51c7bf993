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

/// All that a message's memory must have.
pub(crate) const ALL_SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// Memory of these bytes, with these seals.
pub(crate) fn memfd(bytes: &[u8], seals: libc::c_int) -> OwnedFd {
    let memory = memfd_with(libc::MFD_ALLOW_SEALING);
    std::io::Write::write_all(&mut &memory, bytes).unwrap();
    seal(&memory, seals);
    memory.into()
}

/// Empty memory, made with these flags of `memfd_create`.
pub(crate) fn memfd_with(flags: libc::c_uint) -> std::fs::File {
    // SAFETY: the name ends with a NUL.
    let fd = unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC | flags) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: just made, and owned by nobody else.
    unsafe { OwnedFd::from_raw_fd(fd) }.into()
}

pub(crate) fn seal(memory: &impl AsRawFd, seals: libc::c_int) {
    // SAFETY: a plain call on an open descriptor.
    assert_eq!(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0, "{}", std::io::Error::last_os_error());
}

/// Gives pages to a file, behind its end too, without writing them.
pub(crate) fn allocate_pages(file: &impl AsRawFd, from: i64, bytes: i64) {
    // SAFETY: a plain call on an open descriptor.
    let result = unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, from, bytes) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Takes pages out of the middle of a file.
pub(crate) fn punch_hole(file: &impl AsRawFd, from: i64, bytes: i64) {
    let mode = libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE;
    // SAFETY: a plain call on an open descriptor.
    assert_eq!(unsafe { libc::fallocate(file.as_raw_fd(), mode, from, bytes) }, 0, "{}", std::io::Error::last_os_error());
}

/// Maps a file for writing, and leaves the mapping there.
pub(crate) fn map_writable(file: &impl AsRawFd, bytes: usize) {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choosing.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    assert_ne!(start, libc::MAP_FAILED);
}

/// A page that the kernel waits for when somebody writes to it, because nobody provides it. `userfaultfd(2)`
pub(crate) struct Unprovided {
    faults: OwnedFd,
    page: usize,
}

impl Unprovided {
    /// `None` where this process may not do that.
    pub(crate) fn page() -> Option<Unprovided> {
        const PAGE: usize = 4096;
        // include/uapi/linux/userfaultfd.h
        const UFFD_API: u64 = 0xaa;
        const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
        const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
        const MISSING: u64 = 1;
        // SAFETY: a plain call.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) };
        if fd < 0 {
            return None;
        }
        // SAFETY: just made, and owned by nobody else.
        let faults = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        assert_ne!(page, libc::MAP_FAILED);
        let (mut api, mut range) = ([UFFD_API, 0, 0], [page.addr() as u64, PAGE as u64, MISSING, 0]);
        // SAFETY: a struct uffdio_api is three words.
        assert_eq!(unsafe { libc::ioctl(fd as RawFd, UFFDIO_API, api.as_mut_ptr()) }, 0);
        // SAFETY: a struct uffdio_register is four words, of the page just mapped.
        assert_eq!(unsafe { libc::ioctl(fd as RawFd, UFFDIO_REGISTER, range.as_mut_ptr()) }, 0);
        Some(Unprovided { faults, page: page.expose_provenance() })
    }

    /// Reads a file into it, in a thread that waits as long as the process lives. Returns when it waits.
    pub(crate) fn read_into(&self, file: std::fs::File) {
        let page = self.page;
        std::thread::spawn(move || {
            // SAFETY: a page that was mapped for this, and that nobody else writes to.
            unsafe { libc::read(file.as_raw_fd(), std::ptr::with_exposed_provenance_mut(page), 8) };
        });
        let mut fault = libc::pollfd { fd: self.faults.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        assert_eq!(unsafe { libc::poll(&raw mut fault, 1, -1) }, 1);
    }
}

/// A socket that listens, and the other end of a connection that waits at it: what a message's descriptors are nested in.
pub(crate) fn waiting() -> (OwnedFd, breezeway::socket::Socket) {
    let listener = socket(libc::AF_UNIX, libc::SOCK_SEQPACKET);
    listen(&listener);
    let connection = connect(&listener).unwrap();
    (listener, connection.try_into().unwrap())
}

/// Connects to the name of a seqpacket socket that listens, as whoever knows the name can; does not wait.
pub(crate) fn connect(listener: &OwnedFd) -> std::io::Result<OwnedFd> {
    let connection = socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK);
    // SAFETY: an address of zeros is one of no family and no name.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes.
    assert_eq!(unsafe { libc::getsockname(listener.as_raw_fd(), (&raw mut address).cast(), &raw mut length) }, 0);
    // SAFETY: the kernel reads `length` bytes, which it has written.
    match unsafe { libc::connect(connection.as_raw_fd(), (&raw const address).cast(), length) } {
        0 => Ok(connection),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// The same with packets of these bytes in it, each with so many of this descriptor.
pub(crate) fn nested(packets: &[(&[u8], usize)], descriptor: BorrowedFd<'_>) -> (OwnedFd, breezeway::socket::Socket) {
    let (listener, connection) = waiting();
    for (bytes, descriptors) in packets {
        connection.send_packet(&[std::io::IoSlice::new(bytes)], &vec![descriptor; *descriptors]).unwrap();
    }
    (listener, connection)
}
