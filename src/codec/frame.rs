//! What travels beside the body while serde is at work: a stack of frames, one per message being encoded or decoded on this thread.
//!
//! serde's data model has no place for a descriptor or for bytes that must not be copied, so the fields that are such things put them
//! into, or take them from, the innermost frame, and leave an index in the body. A frame owns what it holds: a descriptor is
//! duplicated when it is put in (a `Serialize` may show a temporary one), a blob is a counted reference. A guard leaves the frame on
//! every path, so a panic or an error in a type's own code leaks nothing, and a message encoded within another's `Serialize` has a frame of its own.

use super::decoder::Failure;
use crate::error::{DecodeError, EncodeError, SendFault};
use crate::packet::{List, Packet, Slots};
use crate::sys::kind::Kind;
use crate::sys::socket;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serializer, de, ser};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Names a pair of ends within this process and its forks, so that an end can be told from one of another channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PairId(pub(crate) u64);

thread_local! {
    /// What this thread is at. It has no destructor and no borrow, so that entering and leaving a frame is a few moves.
    static NOW: Cell<Now> = const { Cell::new(Now { side: Side::Neither, used: false }) };
    /// What the frames hold that hold anything, the innermost last: most messages put nothing into theirs, and it is not looked at.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// The innermost message at work.
#[derive(Clone, Copy)]
struct Now {
    side: Side,
    /// Whether the last of the frames is this one's.
    used: bool,
}

/// What a message has beside its body.
#[derive(Default)]
struct Frame {
    outgoing: Outgoing,
    incoming: Incoming,
}

#[derive(Clone, Copy)]
enum Side {
    Neither,
    Decoding,
    /// With the number of descriptors that may travel, and the channel that they would travel on.
    Encoding {
        limit: usize,
        via: Option<PairId>,
    },
}

/// What a message being encoded has put beside its body.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) descriptors: List<OwnedFd>,
    pub(super) blobs: List<Bytes>,
    /// Descriptors seen, of which only as many as may travel are kept.
    count: usize,
    error: Option<EncodeError>,
}

/// What a message being decoded has not yet taken.
#[derive(Default)]
struct Incoming {
    descriptors: Slots<OwnedFd>,
    blobs: Slots<Bytes>,
    error: Option<DecodeError>,
}

/// The frame of one `encode`. Dropping it leaves the frame.
pub(super) struct Encoding(Guard, usize);
/// The frame of one `decode`.
pub(super) struct Decoding(Guard);

impl Encoding {
    #[inline]
    pub(super) fn enter(limit: usize, via: Option<PairId>) -> Encoding {
        Encoding(Guard::enter(Side::Encoding { limit, via }), limit)
    }

    /// Leaves the frame with what was put into it.
    #[inline]
    pub(super) fn finish(self) -> Result<Outgoing, Box<SendFault>> {
        let Encoding(guard, limit) = self;
        match guard.leave() {
            None => Ok(Outgoing::default()),
            Some(frame) => frame.outgoing.finish(limit),
        }
    }
}

impl Decoding {
    #[inline]
    pub(super) fn enter() -> Decoding {
        Decoding(Guard::enter(Side::Decoding))
    }

    /// Puts in what came beside the body.
    pub(super) fn fill(&self, descriptors: List<OwnedFd>, blobs: List<Bytes>) {
        innermost(|frame, _| {
            frame.incoming = Incoming { descriptors: descriptors.into(), blobs: blobs.into(), error: None };
            Some(())
        });
    }

    /// Leaves the frame with the value that came of it. The frame's own error says more than what serde made of it, and after a
    /// whole value everything must have been taken.
    #[inline]
    pub(super) fn finish<T>(self, decoded: Result<T, Failure>) -> Result<T, Failure> {
        match self.0.leave() {
            None => decoded,
            Some(frame) => frame.incoming.finish(decoded),
        }
    }
}

impl Incoming {
    #[inline(never)]
    fn finish<T>(mut self, decoded: Result<T, Failure>) -> Result<T, Failure> {
        let (descriptors, blobs) = (self.descriptors.left(), self.blobs.left());
        for refused in self.descriptors.drain() {
            socket::close_at_once(&[refused]);
        }
        if let Some(error) = self.error {
            return Err(error.into());
        }
        let value = decoded?;
        match (descriptors, blobs) {
            (0, 0) => Ok(value),
            (0, count) => Err(DecodeError::BlobsUnused { count }.into()),
            (count, _) => Err(DecodeError::DescriptorsUnused { count }.into()),
        }
    }
}

/// Puts a duplicate of a descriptor beside the body and its index into it.
pub(crate) fn put_descriptor<S: Serializer>(descriptor: BorrowedFd<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let index = outgoing(&serializer, |frame, limit, _| {
        let index = frame.count;
        frame.count = frame.count.saturating_add(1);
        if frame.count <= limit {
            frame.descriptors.push(descriptor.try_clone_to_owned().map_err(EncodeError::Descriptor)?);
        }
        Ok(index)
    })?;
    serializer.serialize_u32(u32::try_from(index).unwrap_or(u32::MAX))
}

/// The same for an end of a channel, which may not travel on the channel itself, and may have its own reason not to travel.
pub(crate) fn put_end<S: Serializer>(
    end: BorrowedFd<'_>,
    pair: PairId,
    refused: Option<EncodeError>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    outgoing(&serializer, |_, _, via| match refused {
        Some(error) => Err(error),
        None if via == Some(pair) => Err(EncodeError::OverItself),
        None => Ok(()),
    })?;
    put_descriptor(end, serializer)
}

/// Takes the descriptor whose index is next in the body.
pub(crate) fn take_descriptor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(u32, OwnedFd), D::Error> {
    let human_readable = deserializer.is_human_readable();
    let index = u32::deserialize(deserializer)?;
    incoming(human_readable, |frame| {
        let count = frame.descriptors.len();
        let descriptor = frame.descriptors.take(index).ok_or(DecodeError::DescriptorIndex { index, count })?;
        Ok((index, descriptor.ok_or(DecodeError::DescriptorTwice { index })?))
    })
}

/// What a field takes for itself.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) kind: fn(Kind) -> bool,
    /// As it is called in an error.
    pub(crate) name: &'static str,
}

/// The same where it must be of a kind.
pub(crate) fn take_kind<'de, D: Deserializer<'de>>(wanted: Wanted, deserializer: D) -> Result<OwnedFd, D::Error> {
    let (index, descriptor) = take_descriptor(deserializer)?;
    if (wanted.kind)(Kind::of(descriptor.as_fd())) { Ok(descriptor) } else { Err(refuse_kind(index, descriptor, wanted.name)) }
}

/// Refuses a descriptor that was taken and is none that is wanted.
pub(crate) fn refuse_kind<E: de::Error>(index: u32, descriptor: OwnedFd, expected: &'static str) -> E {
    let error = DecodeError::DescriptorKind { index, expected, found: Kind::of(descriptor.as_fd()).as_str() };
    socket::close_at_once(&[descriptor]);
    refuse(error)
}

/// Refuses what was taken, in the frame's own words.
pub(crate) fn refuse<E: de::Error>(error: DecodeError) -> E {
    match incoming::<(), E>(false, |_| Err(error)) {
        Ok(()) => E::custom(OUTSIDE),
        Err(error) => error,
    }
}

/// Stands for "the bytes follow here" where a blob's index would be.
const INLINE: u32 = u32::MAX;
/// Byte strings from here on are not copied into the body. Chosen, not tuned: below, the copy costs less than the book-keeping.
const BLOB: usize = 4096;

/// Puts a byte string beside the body if it is large, and its index, or its bytes, into it.
pub(crate) fn put_bytes<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    use ser::SerializeTuple;
    if serializer.is_human_readable() {
        return serializer.serialize_bytes(bytes);
    }
    // Where no message is being encoded, another serializer is at work, and the bytes are all it can carry.
    let index = if bytes.len() < BLOB { None } else { encoding(|frame| frame.put_blob(bytes)) }.unwrap_or(INLINE);
    let inline = index == INLINE;
    let mut parts = serializer.serialize_tuple(if inline { 2 } else { 1 })?;
    parts.serialize_element(&index)?;
    if inline {
        parts.serialize_element(&super::field::AsBytes(bytes))?;
    }
    parts.end()
}

/// Takes a blob, or bytes from the body. They pin nothing but themselves.
pub(crate) fn take_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    struct Parts;
    impl<'de> de::Visitor<'de> for Parts {
        type Value = Bytes;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a blob or bytes")
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut parts: A) -> Result<Bytes, A::Error> {
            let missing = || de::Error::invalid_length(0, &self);
            let index: u32 = parts.next_element()?.ok_or_else(missing)?;
            if index == INLINE {
                let bytes: super::field::ByteBuf = parts.next_element()?.ok_or_else(missing)?;
                return Ok(bytes.0.into());
            }
            incoming(false, |frame| {
                let count = frame.blobs.len();
                let blob = frame.blobs.take(index).ok_or(DecodeError::BlobIndex { index, count })?;
                blob.ok_or(DecodeError::BlobTwice { index })
            })
        }
    }
    if deserializer.is_human_readable() {
        return Ok(super::field::ByteBuf::deserialize(deserializer)?.0.into());
    }
    // Two at most: nothing is read for an element that is not asked for.
    deserializer.deserialize_tuple(2, Parts)
}

impl Outgoing {
    /// Out of the way of messages that have put nothing in.
    #[inline(never)]
    fn finish(mut self, limit: usize) -> Result<Outgoing, Box<SendFault>> {
        match self.error.take() {
            Some(error) => Err(Box::new(error.into())),
            None if self.count > limit => Err(SendFault::TooManyDescriptors { count: self.count, limit }.into()),
            None => Ok(self),
        }
    }

    /// The blob's index, or `INLINE` where a packet carries no more of them.
    fn put_blob(&mut self, bytes: &Bytes) -> u32 {
        match u32::try_from(self.blobs.len()) {
            Ok(index) if self.blobs.len() < Packet::MAX_BLOBS => {
                self.blobs.push(bytes.clone());
                index
            }
            _ => INLINE,
        }
    }
}

const OUTSIDE: &str = "a descriptor can only travel in a message on a channel; no other serializer can carry it";

/// Works on the message being encoded on this thread, if there is one.
fn encoding<V>(work: impl FnOnce(&mut Outgoing) -> V) -> Option<V> {
    innermost(|frame, side| match side {
        Side::Encoding { .. } => Some(work(&mut frame.outgoing)),
        Side::Decoding | Side::Neither => None,
    })
}

/// Works on the message being encoded on this thread by `serializer`; told how many descriptors may travel, and on which channel.
fn outgoing<S: Serializer, V>(
    serializer: &S,
    work: impl FnOnce(&mut Outgoing, usize, Option<PairId>) -> Result<V, EncodeError>,
) -> Result<V, S::Error> {
    if serializer.is_human_readable() {
        return Err(ser::Error::custom(OUTSIDE));
    }
    let result = innermost(|frame, side| match side {
        Side::Encoding { limit, via } => {
            let result = work(&mut frame.outgoing, limit, via);
            result.map_err(|error| frame.outgoing.error.get_or_insert(error)).ok()
        }
        Side::Decoding | Side::Neither => None,
    });
    result.ok_or_else(|| ser::Error::custom(OUTSIDE))
}

/// Works on the message being decoded on this thread.
fn incoming<V, E: de::Error>(human_readable: bool, work: impl FnOnce(&mut Incoming) -> Result<V, DecodeError>) -> Result<V, E> {
    if human_readable {
        return Err(E::custom(OUTSIDE));
    }
    let result = innermost(|frame, side| match side {
        Side::Decoding => work(&mut frame.incoming).map_err(|error| frame.incoming.error.get_or_insert(error)).ok(),
        Side::Encoding { .. } | Side::Neither => None,
    });
    result.ok_or_else(|| E::custom(OUTSIDE))
}

/// The frame of the message that this thread is working on. No code of anybody else runs while the frames are borrowed.
fn innermost<V>(work: impl FnOnce(&mut Frame, Side) -> Option<V>) -> Option<V> {
    let Now { side, used } = NOW.get();
    if matches!(side, Side::Neither) {
        return None;
    }
    FRAMES
        .try_with(|frames| {
            let frames = &mut *frames.borrow_mut();
            if !used {
                frames.push(Frame::default());
                NOW.set(Now { side, used: true });
            }
            work(frames.last_mut()?, side)
        })
        .ok()
        .flatten()
}

/// A frame that is entered, with what this thread was at before; what is entered last is left first, because guards do not leave the function
/// that made them.
struct Guard(Now);

impl Guard {
    /// A thread that is ending has no frames any more; what the frame would have held is closed.
    #[inline]
    fn enter(side: Side) -> Guard {
        Guard(NOW.replace(Now { side, used: false }))
    }

    /// What was put into the frame, if anything was.
    #[inline]
    fn leave(self) -> Option<Frame> {
        let before = self.0;
        std::mem::forget(self);
        if NOW.replace(before).used { last() } else { None }
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        if NOW.replace(self.0).used {
            // Dropped outside the borrow: closing a descriptor runs nobody's code, freeing a blob may (its owner's destructor).
            drop(last());
        }
    }
}

/// The frame that is left.
fn last() -> Option<Frame> {
    FRAMES.try_with(|frames| frames.borrow_mut().pop()).ok().flatten()
}
