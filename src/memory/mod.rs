//! Bytes that several processes read where they are: [`SharedMemory`] is filled by one process, and then frozen into [`SharedBytes`].
//!
//! What a [`SharedBytes`] holds never changes: the kernel's seals say so, and those of memory that arrives are looked at before it is mapped. So
//! it is a slice of bytes like any other, whoever else has it. Knows fields of messages, and nothing of channels.
//!
//! ```
//! use breezeway::{SharedBytes, SharedMemory, channel};
//!
//! let mut picture = SharedMemory::new(64 << 20)?;
//! picture.fill(|pixels| pixels[7] = 255)?;
//! let picture: SharedBytes = picture.freeze()?;
//!
//! let (sender, receiver) = channel::<SharedBytes>()?;
//! sender.send(picture.clone())?; // a descriptor travels, whatever the size
//! assert_eq!(receiver.recv()?[..8], picture[..8]);
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::codec::field::{Field, Message};
use crate::codec::frame;
use crate::error::DecodeError;
use crate::schema::Schema;
use crate::schema::constant::Kind;
use crate::sys::memory::{Mapping, Sealed, Unfit};
use crate::sys::writable::Writable;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Memory that this process fills, and then shares.
///
/// It belongs to the process that made it. A forked child that has a copy of this object is refused by all of its functions, because both
/// could write at the same time; dropping it there does no harm.
pub struct SharedMemory(Writable);

impl SharedMemory {
    /// Makes memory of so many zeros. All of it is taken from the system at once.
    ///
    /// # Errors
    ///
    /// What the kernel says: no memory, no descriptor is free, or `memfd_create` is forbidden. `FileTooLarge`: more than `RLIMIT_FSIZE`, or than
    /// there are addresses.
    pub fn new(len: usize) -> io::Result<SharedMemory> {
        Writable::new(len).map(SharedMemory)
    }

    /// Has `work` see and change the bytes, in place. They are zeros at first.
    ///
    /// ```
    /// use std::io::Read;
    ///
    /// let mut manifest = std::fs::File::open("Cargo.toml")?;
    /// let mut memory = breezeway::SharedMemory::new(manifest.metadata()?.len() as usize)?;
    /// memory.fill(|bytes| manifest.read_exact(bytes))??;
    /// let text = memory.freeze()?;
    /// assert!(text.starts_with(b"["));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported`: in another process than the one that made it, a fork.
    pub fn fill<V>(&mut self, work: impl FnOnce(&mut [u8]) -> V) -> io::Result<V> {
        self.0.fill(work).ok_or_else(in_a_fork)
    }

    /// Makes the bytes what they are for good, without a copy.
    ///
    /// # Errors
    ///
    /// The memory is gone. `Unsupported`: in another process than the one that made it, a fork. Else what the kernel says: no address space for
    /// the mapping, or `fcntl` is forbidden.
    pub fn freeze(self) -> io::Result<SharedBytes> {
        let (file, mapping) = self.0.freeze()?.ok_or_else(in_a_fork)?;
        Ok(SharedBytes(Arc::new(Shared { file, mapping })))
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cold]
fn in_a_fork() -> io::Error {
    let text = "shared memory belongs to the process that made it until it is frozen: fill and freeze it there, or make it after the fork";
    io::Error::new(io::ErrorKind::Unsupported, text)
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMemory({} bytes)", self.len())
    }
}

/// Bytes that never change, in memory that other processes may have too.
///
/// Cloning counts a reference. As a field of a message, derived or with plain serde derives, or as a whole message, it is a descriptor: sending
/// 64 MiB costs what sending a file costs, and the receiver maps them. They count neither for `Limits::max_message` nor for
/// `Limits::max_expansion`: their sender has paid for them, and the receiver gives address space. The mapping and one descriptor stay until the last
/// clone is dropped. Only a channel can carry it; any other serializer gets an error that says so.
#[derive(Clone)]
pub struct SharedBytes(Arc<Shared>);

struct Shared {
    file: Arc<File>,
    mapping: Mapping,
}

impl SharedBytes {
    /// Maps what has arrived, if it is memory that nobody can change any more.
    fn open(memory: &OwnedFd) -> Result<Mapping, Refused> {
        let sealed = Sealed::examine(memory.as_fd()).map_err(|_| Refused::Unmapped { length: 0 })?.map_err(Refused::Unfit)?;
        sealed.map().map_err(|_| Refused::Unmapped { length: sealed.len })?.map_err(Refused::Unfit)
    }
}

/// Why what has arrived is no such memory.
enum Refused {
    Unfit(Unfit),
    Unmapped { length: u64 },
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.mapping.as_ref()
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// The memory as a file, which nobody can write to.
impl AsFd for SharedBytes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

/// Without a copy. As `Bytes` they are sent as any others are: copied by the kernel.
impl From<SharedBytes> for Bytes {
    fn from(shared: SharedBytes) -> Bytes {
        Bytes::from_owner(shared)
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.len())
    }
}

impl Serialize for SharedBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        frame::put_descriptor(self.as_fd(), serializer)
    }
}

impl<'de> Deserialize<'de> for SharedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SharedBytes, D::Error> {
        let (index, memory) = frame::take_descriptor(deserializer)?;
        match SharedBytes::open(&memory) {
            Ok(mapping) => Ok(SharedBytes(Arc::new(Shared { file: Arc::new(memory.into()), mapping }))),
            Err(Refused::Unfit(found)) => Err(frame::refuse_kind(index, memory, found.expected())),
            Err(Refused::Unmapped { length }) => Err(frame::refuse(DecodeError::Unmapped { index, length })),
        }
    }
}

impl Field for SharedBytes {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Descriptor("SharedBytes"));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SharedBytes, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

impl Message for SharedBytes {
    const NAME: &'static str = "SharedBytes";
}
