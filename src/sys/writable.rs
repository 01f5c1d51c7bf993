//! Memory that this process fills before it is sealed: there from the start, and nobody else's until then. `fallocate(2)`, `mmap(2)`
//!
//! The one invariant: its bytes are written by the process that made it alone, by one thread at a time. A fork has the object and not the
//! mapping (`MADV_DONTFORK`): it is refused everything, and whatever lies at these addresses there is left alone.

use super::check;
use super::memory::{self, Mapping, Sealed, Unfit};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;

/// A memory file, mapped for writing.
#[derive(Debug)]
pub(crate) struct Writable {
    file: Arc<File>,
    region: Region,
}

/// A mapping for writing, which is one of the process that made it.
#[derive(Debug)]
struct Region {
    start: NonNull<u8>,
    len: usize,
    process: u32,
}

// SAFETY: it owns the bytes, which any thread may write and unmap.
unsafe impl Send for Region {}
// SAFETY: nothing is done with the bytes by a shared reference.
unsafe impl Sync for Region {}

impl Region {
    fn new(len: usize, flags: libc::c_int, file: RawFd) -> io::Result<Region> {
        // SAFETY: a new mapping at an address of the kernel's choosing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0) };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Region { start: start.cast(), len, process: std::process::id() }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.len > 0 && self.process == std::process::id() {
            // SAFETY: mapped by `new` with this length in this process, and no borrow of it is left.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        }
    }
}

impl Writable {
    /// Memory of so many zeros. All of it is there: a page that had to be found at its first use might not be, which is a `SIGBUS`.
    pub(crate) fn new(len: usize) -> io::Result<Writable> {
        let size = libc::off_t::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))?;
        // The kernel kills a process that grows a file beyond this.
        if len as u64 > memory::file_size_limit()? {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let file = Arc::new(memory::create()?);
        if len == 0 {
            return Ok(Writable { file, region: Region { start: NonNull::dangling(), len, process: std::process::id() } });
        }
        // The kernel refuses private memory that the machine does not have; `fallocate` would go on until it has taken all that there is.
        drop(Region::new(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?);
        // SAFETY: a plain call on an open descriptor.
        while let Err(error) = check(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, size) }) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let region = Region::new(len, libc::MAP_SHARED, file.as_raw_fd())?;
        // SAFETY: all of the mapping just made, which forks do not get: they could write to it while this process does, and as long as they had it
        // the kernel would not seal it.
        check(unsafe { libc::madvise(region.start.as_ptr().cast(), len, libc::MADV_DONTFORK) })?;
        Ok(Writable { file, region })
    }

    pub(crate) fn len(&self) -> usize {
        self.region.len
    }

    /// Has `work` see and change the bytes; `None` in another process than the one that made them.
    ///
    /// The bytes do not outlive the call. Were they handed out for longer, safe code could leak the borrow, fork, and use it in the child.
    pub(crate) fn fill<V>(&mut self, work: impl FnOnce(&mut [u8]) -> V) -> Option<V> {
        let Region { start, len, process } = self.region;
        if process != std::process::id() {
            return None;
        }
        // SAFETY: `new` mapped so many bytes there, or there are none, and this process still has the mapping. It is exclusive: `self` is, the
        // file has no other mapping and goes to nobody before it is sealed, and a fork made within `work` cannot have the slice.
        Some(work(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) }))
    }

    /// Makes it what it is for good, and maps it for reading; `None` in another process than the one that made it.
    pub(crate) fn freeze(self) -> io::Result<Option<(Arc<File>, Mapping)>> {
        if self.region.process != std::process::id() {
            return Ok(None);
        }
        let file = Arc::clone(&self.file);
        // As long as it is mapped for writing, the kernel does not seal it.
        drop(self);
        memory::seal(file.as_fd())?;
        let unfit = |found: Unfit| io::Error::other(format!("this is not {}", found.expected()));
        let mapping = Sealed::examine(file.as_fd())?.map_err(unfit)?.map()?.map_err(unfit)?;
        Ok(Some((file, mapping)))
    }
}
