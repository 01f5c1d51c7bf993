//! Run it: `cargo run --example c_runtime`
//!
//! Memory of the C runtime behind a safe type: `malloc` makes it, a C function fills it, Rust reads it as a slice, `free` runs once.

use c::Allocation;
use std::io;

fn main() -> io::Result<()> {
    let mut text = Allocation::new(64)?;
    println!("64 bytes from malloc, {} of them written", text.written().len());

    text.print_hexadecimal(0.1);
    println!("snprintf wrote {}", String::from_utf8_lossy(text.written()));

    let mut short = Allocation::new(8)?;
    short.print_hexadecimal(0.1);
    println!("in 8 bytes, with the zero at the end, there is room for {}", String::from_utf8_lossy(short.written()));

    // More than there is: an error, and no null pointer.
    match Allocation::new(isize::MAX as usize) {
        Ok(_) => println!("malloc gave half of the address space"),
        Err(error) => println!("malloc refused half of the address space: {error}"),
    }
    Ok(())
}

/// The only part of this program with `unsafe` in it.
mod c {
    #![allow(unsafe_code, reason = "calls the C runtime")]

    use std::io;
    use std::ptr::NonNull;

    /// Memory from `malloc`, which nobody else knows. It cannot be copied, so it is freed once, when it is dropped.
    ///
    /// The first `written` of its `room` bytes are initialised. Only those can be read.
    pub(crate) struct Allocation {
        start: NonNull<u8>,
        room: usize,
        written: usize,
    }

    impl Allocation {
        /// Allocates this many bytes.
        ///
        /// # Errors
        ///
        /// What `malloc` says when it has none: out of memory.
        pub(crate) fn new(room: usize) -> io::Result<Allocation> {
            // Of no bytes, malloc(3) may return null without having failed.
            let room = room.max(1);
            // SAFETY: any size may be asked for.
            let start = unsafe { libc::malloc(room) };
            let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
            Ok(Allocation { start, room, written: 0 })
        }

        /// Writes a number as C's `%a` does, which Rust has no format for. What does not fit is left off.
        pub(crate) fn print_hexadecimal(&mut self, number: f64) {
            // SAFETY: `start` is valid for writes of `room` bytes, `&mut self` says that nobody reads them meanwhile, the format is a
            // C string, and `%a` takes one double.
            let length = unsafe { libc::snprintf(self.start.as_ptr().cast(), self.room, c"%a".as_ptr(), number) };
            // The length is what it would be with room enough, and does not count the zero at the end; negative, nothing is certain.
            self.written = usize::try_from(length).unwrap_or(0).min(self.room - 1);
        }

        /// What has been written, without the zero at the end.
        pub(crate) fn written(&self) -> &[u8] {
            // SAFETY: the first `written` bytes at `start` are initialised (`print_hexadecimal` sets it to what C has written), and they
            // stay allocated and unchanged while `self` is borrowed.
            unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.written) }
        }
    }

    impl Drop for Allocation {
        fn drop(&mut self) {
            // SAFETY: `start` came from `malloc`, this value is its only owner, and a value is dropped once.
            unsafe { libc::free(self.start.as_ptr().cast()) };
        }
    }
}
