//! A packet: one message as bytes, blobs and descriptors in one value.
//!
//! The codec makes packets of values and values of packets, the transport carries them. Whatever is dropped on the way is closed and freed.

mod buffer;
mod list;

pub(crate) use buffer::Buffer;
pub(crate) use list::{List, Slots};

use bytes::Bytes;
use std::os::fd::OwnedFd;

/// One message, encoded.
#[derive(Debug)]
pub(crate) struct Packet {
    /// The value, in the body format.
    pub(crate) body: Buffer,
    /// Byte strings too large to be copied into the body.
    pub(crate) blobs: List<Bytes>,
    /// Open descriptors; the body says which field each belongs to.
    pub(crate) descriptors: List<OwnedFd>,
}

impl Packet {
    /// The most blobs that one packet carries: few enough that the parts of a packet fit an array on the stack. Chosen, not tuned.
    pub(crate) const MAX_BLOBS: usize = 64;
}
