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
    pub(crate) body: Body,
    /// Byte strings too large to be copied into the body.
    pub(crate) blobs: List<Bytes>,
    /// Open descriptors; the body says which field each belongs to.
    pub(crate) descriptors: List<OwnedFd>,
}

/// Where a body is.
#[derive(Debug)]
pub(crate) enum Body {
    /// In a buffer of this thread.
    Own(Buffer),
    /// In memory that came with it, of which blobs may be slices.
    Shared(Bytes),
}

impl Body {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Body::Own(buffer) => buffer.as_slice(),
            Body::Shared(bytes) => bytes,
        }
    }
}

impl Packet {
    /// The most blobs that one packet carries: few enough that the parts of a packet fit an array on the stack. Chosen, not tuned.
    pub(crate) const MAX_BLOBS: usize = 64;
}
