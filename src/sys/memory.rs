//! Memory as a file: made, filled, sealed, and mapped where nobody can change it any more. `memfd_create(2)`, fcntl(2), `mmap(2)`
//!
//! The one invariant: a [`Mapping`] is of bytes that stay what and where they are, whoever else holds the file.

use super::{check, check_len, fd};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;

/// What `/proc/PID/maps` and `/proc/PID/fd` show.
const NAME: &CStr = c"breezeway";
/// `include/uapi/linux/memfd.h`, since Linux 6.3: no program can be run from the memory, which some systems insist on
/// (`vm.memfd_noexec`). It allows sealing too.
const MFD_NOEXEC_SEAL: libc::c_uint = 8;
/// Neither the size nor the bytes change any more, and no seal can be added.
const SEALS: libc::c_int = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// What `fstat` counts blocks in, stat(3type).
const BLOCK: u64 = 512;

/// Empty memory that can be sealed; close-on-exec, and not on 0, 1 or 2. `memfd_create(2)`
pub(crate) fn create() -> io::Result<File> {
    match create_with(MFD_NOEXEC_SEAL) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => create_with(libc::MFD_ALLOW_SEALING),
        result => result,
    }
}

fn create_with(flag: libc::c_uint) -> io::Result<File> {
    // SAFETY: the name ends with a NUL.
    let number = check(unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC | flag) })?;
    // SAFETY: the call succeeded, so it is an open descriptor that nothing else owns.
    let made = unsafe { OwnedFd::from_raw_fd(number) };
    fd::keep_above_stdio(made).map(File::from)
}

/// The bytes that a file of this process may grow to; the process is killed where it tries to write beyond. `RLIMIT_FSIZE`, getrlimit(2)
pub(crate) fn file_size_limit() -> io::Result<u64> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: `limit` is a struct rlimit that the kernel may write.
    check(unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, limit.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it is filled in.
    Ok(unsafe { limit.assume_init() }.rlim_cur)
}

/// Writes the parts one behind the other. `writev(2)`, as often as it takes: one call moves 2 GiB at most.
pub(crate) fn write(mut memory: &File, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    // Nothing to write looks like no progress.
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match memory.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes memory what it is for good. `EBUSY` while it is mapped for writing. `fcntl(F_ADD_SEALS)`
pub(crate) fn seal(memory: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a plain call on an open descriptor.
    check(unsafe { libc::fcntl(memory.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
    Ok(())
}

/// Memory that was looked at, and found to be what it is for good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    memory: BorrowedFd<'a>,
    pub(crate) len: u64,
    /// The bytes that its pages take.
    there: u64,
}

/// Why a descriptor is not memory that can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is a file of another kind, or cannot be read.
    OtherKind,
    /// It is memory that somebody may still change.
    Seals { expected: u32, found: u32 },
    /// Only `found` bytes of it are there, and whoever reads the others first would have to pay for them.
    Sparse { size: u64, found: u64 },
}

impl Unfit {
    /// What it ought to be.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Unfit::OtherKind => "memory of ordinary pages that can be read",
            Unfit::Seals { .. } => "memory that is sealed against every change",
            Unfit::Sparse { .. } => "memory of which every page is there",
        }
    }
}

impl<'a> Sealed<'a> {
    /// Looks at a descriptor. Seals are never taken off, so what is found stays true.
    pub(crate) fn examine(memory: BorrowedFd<'a>) -> io::Result<Result<Sealed<'a>, Unfit>> {
        let number = memory.as_raw_fd();
        // SAFETY: a plain call on an open descriptor.
        let flags = check(unsafe { libc::fcntl(number, libc::F_GETFL) })?;
        if flags & libc::O_PATH != 0 || flags & libc::O_ACCMODE == libc::O_WRONLY {
            return Ok(Err(Unfit::OtherKind));
        }
        // SAFETY: a plain call on an open descriptor.
        let found = match check(unsafe { libc::fcntl(number, libc::F_GET_SEALS) }) {
            // The kernel's word for a file that cannot have seals.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(Err(Unfit::OtherKind)),
            found => found?,
        };
        // Huge pages have seals too, and a length that nothing else here counts in.
        if !is_tmpfs(memory)? {
            return Ok(Err(Unfit::OtherKind));
        }
        if found & SEALS != SEALS {
            return Ok(Err(Unfit::Seals { expected: SEALS as u32, found: found as u32 }));
        }
        let mut stat = MaybeUninit::<libc::stat>::uninit();
        // SAFETY: `stat` is a struct stat that the kernel may write.
        check(unsafe { libc::fstat(number, stat.as_mut_ptr()) })?;
        // SAFETY: the call succeeded, so it is filled in.
        let stat = unsafe { stat.assume_init() };
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return Ok(Err(Unfit::OtherKind));
        }
        let (len, there) = (stat.st_size as u64, (stat.st_blocks as u64).saturating_mul(BLOCK));
        Ok(Ok(Sealed { memory, len, there }))
    }

    /// Maps it for reading, if as many pages are there as it takes. `mmap(2)`
    ///
    /// Every page is there when this returns: one that was missing would be made at its first use, and be a `SIGBUS` where it cannot be. (Blocks
    /// behind the end of the file can stand in for it in what `fstat` counts.) To ask for it by `lseek(SEEK_HOLE)` is no way: whoever
    /// shares the description can have that wait for ever, by a `read` into memory that he does not provide (Linux 6.18, tried).
    pub(crate) fn map(&self) -> io::Result<Result<Mapping, Unfit>> {
        if self.there < self.len {
            return Ok(Err(Unfit::Sparse { size: self.len, found: self.there }));
        }
        self.mapped().map(Ok)
    }

    fn mapped(&self) -> io::Result<Mapping> {
        let len = usize::try_from(self.len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if len == 0 {
            return Ok(Mapping { start: NonNull::dangling(), len });
        }
        // Private, because older kernels (before 6.7) count a shared mapping of a descriptor opened for writing as one that writes. No byte
        // is ever copied for it: that takes a write.
        let mapping = Mapping::new(len, libc::PROT_READ, libc::MAP_PRIVATE, self.memory.as_raw_fd())?;
        // SAFETY: all of the mapping just made; it is only read.
        match check(unsafe { libc::madvise(mapping.start.as_ptr().cast(), len, libc::MADV_POPULATE_READ) }) {
            Ok(_) => Ok(mapping),
            // Linux before 5.14 cannot be asked, so the bytes are copied.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.copy(len),
            Err(error) => Err(error),
        }
    }

    /// A copy of it, in memory of this process alone. `pread(2)`
    #[cold]
    fn copy(&self, len: usize) -> io::Result<Mapping> {
        let copy = Mapping::new(len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        let mut filled = 0;
        while filled < len {
            // SAFETY: `filled` bytes into a mapping that is longer.
            let to = unsafe { copy.start.add(filled) };
            // SAFETY: the rest of the mapping, which nobody else knows yet.
            match check_len(unsafe { libc::pread(self.memory.as_raw_fd(), to.as_ptr().cast(), len - filled, filled as libc::off_t) }) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(copy)
    }
}

fn is_tmpfs(file: BorrowedFd<'_>) -> io::Result<bool> {
    let mut facts = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `facts` is a struct statfs that the kernel may write.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), facts.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it is filled in.
    Ok(unsafe { facts.assume_init() }.f_type == libc::TMPFS_MAGIC)
}

/// Sealed memory, or a copy of it, mapped until it is dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: bytes that nobody writes to; any thread may read and unmap them.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(len: usize, protection: libc::c_int, flags: libc::c_int, memory: RawFd) -> io::Result<Mapping> {
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, memory, 0) };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Mapping { start: start.cast(), len }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `Sealed::map` mapped so many bytes there, or there are none, and they stay mapped while `self` is borrowed. Nobody writes to
        // them: a copy is this process's alone, and for the memory itself `F_SEAL_WRITE` was set, which the kernel sets only where no writable mapping
        // is left, and never takes off. They are all there: the size is sealed, and every page was brought in.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: mapped by `new` with this length, and no borrow of it is left.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }
}
