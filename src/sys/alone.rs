//! Starting a command from a process that has one thread, in its own descriptor table.
//!
//! Nobody can open, close or inherit a descriptor meanwhile. So the flags are set for as long as it takes to start the program, and are then as
//! they were: nothing has to be done between `fork` and `exec`, and no second table is needed, as [`super::apart`] makes one where there are
//! more threads. A signal handler that opens a descriptor just then opens it as during any `spawn`.

use super::apart::Started;
use super::check;
use super::exec::{each_listed, set_flags};
use super::process::ForkPermit;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::process::Command;

/// The most descriptors that are looked at. Listing one takes the kernel up to 1 µs (Linux 6.18, measured), and a thread with a table of its
/// own costs a program 100 µs and more to its first answer.
const MOST: usize = 64;

/// Starts the command; its program inherits stdin, stdout, stderr, these descriptors and no others. `None` where that cannot be done in
/// this way: there is another thread, no `/proc`, or there are very many descriptors. Nothing has been started then.
pub(crate) fn spawn(command: &mut Command, keep: &[BorrowedFd<'_>]) -> Option<io::Result<Started>> {
    if !matches!(ForkPermit::if_single_threaded(), Ok(Some(_))) {
        return None;
    }
    let _marked = Marked::all_but(keep).ok()?;
    Some(command.spawn().map(Started::here))
}

/// Descriptors whose flags have been changed, and what they were. They are again when this is dropped.
struct Marked(Vec<(RawFd, libc::c_int)>);

impl Marked {
    /// Lets a program inherit these, and no other from 3 on.
    fn all_but(keep: &[BorrowedFd<'_>]) -> io::Result<Marked> {
        let mut marked = Marked(Vec::new());
        let (mut left, mut kept) = (MOST, 0);
        each_listed(|number| {
            left = left.checked_sub(1).ok_or(ErrorKind::Unsupported)?;
            let is_kept = keep.iter().any(|fd| fd.as_raw_fd() == number);
            kept += usize::from(is_kept);
            let wanted = if is_kept { 0 } else { libc::FD_CLOEXEC };
            // SAFETY: a plain call.
            let flags = check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
            if flags != wanted {
                set_flags(number, wanted)?;
                marked.0.push((number, flags));
            }
            Ok(())
        })?;
        // Whatever is under `/proc` there, it is not believed where it leaves out what is known to be open.
        if kept == keep.len() { Ok(marked) } else { Err(ErrorKind::Unsupported.into()) }
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        for (number, flags) in self.0.drain(..) {
            // Still open: this thread is the only one, and has closed none of them.
            let _ = set_flags(number, flags);
        }
    }
}
