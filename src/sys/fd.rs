//! What is done with a descriptor as a number: keep it off 0, 1 and 2, put another file under it, and find it again after `exec`.

use super::check;
use std::fmt;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::str::FromStr;

/// A duplicate above 2 for a descriptor that landed on 0, 1 or 2; any other may stay where it is.
///
/// A program may start with those closed, and what then lands there is written to by every `println!` of the process.
pub(crate) fn above_stdio(fd: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    // `try_clone_to_owned` asks for the lowest free number from 3 on (`F_DUPFD_CLOEXEC`).
    if fd.as_raw_fd() > 2 { Ok(None) } else { fd.try_clone_to_owned().map(Some) }
}

/// The same, moved.
pub(crate) fn keep_above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    Ok(above_stdio(fd.as_fd())?.unwrap_or(fd))
}

/// Makes `fd` refer to the file behind `with`, closing what it referred to; close-on-exec. `dup3(2)`
pub(crate) fn replace(fd: BorrowedFd<'_>, with: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: both are open for the duration of the call. Whoever owns `fd` still owns an open descriptor afterwards.
    check(unsafe { libc::dup3(with.as_raw_fd(), fd.as_raw_fd(), libc::O_CLOEXEC) })?;
    Ok(())
}

/// What the kernel says of an open file. `fstat(2)`
pub(super) fn status(fd: BorrowedFd<'_>) -> io::Result<libc::stat> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` is a struct stat that the kernel may write.
    check(unsafe { libc::fstat(fd.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it is filled in.
    Ok(unsafe { stat.assume_init() })
}

/// Where a program finds a descriptor that it inherits: the number, and which file is behind it.
///
/// As text it is `number:device:inode`, in decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    number: RawFd,
    device: u64,
    inode: u64,
}

impl Place {
    /// Where an open descriptor is now, and will be in a program that inherits it.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Place> {
        let stat = status(fd)?;
        Ok(Place { number: fd.as_raw_fd(), device: stat.st_dev, inode: stat.st_ino })
    }

    /// Takes the descriptor that this program has inherited there, and makes it close-on-exec. `None` where there is none: the number is
    /// closed, or another file is under it, or it is close-on-exec, so it came here by no `exec` (or has been claimed before).
    ///
    /// Two threads must not claim the same place at once.
    pub(crate) fn claim(self) -> io::Result<Option<OwnedFd>> {
        // 0, 1 and 2 are everybody's.
        if self.number <= 2 {
            return Ok(None);
        }
        // SAFETY: a plain call, for which the number need not be open.
        match check(unsafe { libc::fcntl(self.number, libc::F_GETFD) }) {
            Ok(flags) if flags & libc::FD_CLOEXEC == 0 => {}
            Ok(_) => return Ok(None),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => return Ok(None),
            Err(error) => return Err(error),
        }
        // SAFETY: open, as the call above said. Whoever has inherited it keeps it open while this one looks.
        let fd = unsafe { BorrowedFd::borrow_raw(self.number) };
        if Place::of(fd)? != self {
            return Ok(None);
        }
        // SAFETY: a plain call on an open descriptor.
        check(unsafe { libc::fcntl(self.number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        // SAFETY: it is the very file that the parent has named for this program, and it was open across `exec`, so no code of this
        // program opened it. Whoever claims it by this function sets close-on-exec first, so nobody has claimed it before.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(self.number) }))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.number, self.device, self.inode)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Place, ()> {
        let mut parts = text.split(':');
        let mut next = || {
            let digits = parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u64>().ok()).ok_or(())
        };
        let (number, device, inode) = (next()?, next()?, next()?);
        let number = RawFd::try_from(number).map_err(drop)?;
        if parts.next().is_some() { Err(()) } else { Ok(Place { number, device, inode }) }
    }
}

/// Puts something harmless on those of 0, 1 and 2 that are closed, until the guard is dropped; close-on-exec.
///
/// `std::process::Command` talks with its child over a pipe, which would land there, and then be replaced by the child's stdio.
pub(crate) fn occupy_stdio() -> io::Result<Vec<OwnedFd>> {
    let mut placed = Vec::new();
    // SAFETY: a plain call, for which the number need not be open.
    while (0..3).any(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1) {
        let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
        // Somebody else was faster.
        if null.as_raw_fd() > 2 {
            break;
        }
        placed.push(null);
    }
    Ok(placed)
}
