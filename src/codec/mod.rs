//! Values to packets and back: `T` ⇄ [`Packet`].
//!
//! [`encode`] and [`decode`] are whole: no descriptor and no blob outlives a call that failed, and nothing of one call is seen by
//! another. What serde's data model cannot carry goes through [`mod@frame`]; what a hostile body could ask for is bounded by
//! [`mod@decoder`]; the bytes themselves are [`mod@format`]'s. Several values in one packet are [`mod@batch`]'s. Knows nothing of sockets.

pub(crate) mod batch;
#[cfg(feature = "testing")]
pub mod bench;
mod decoder;
pub(crate) mod field;
mod format;
pub(crate) mod frame;

pub(crate) use frame::PairId;

use crate::error::{EncodeError, Fault, SendFault};
use crate::limits::Limits;
use crate::packet::{Body, Buffer, Packet};
use crate::wire::BLOB_ENTRY;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

/// Encodes one value. `via` names the channel that the packet is meant for, where that is known. Errors are boxed here and in what follows,
/// because a `Result` of them is handed on by every message.
#[inline]
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits, via: Option<PairId>) -> Result<Packet, Box<SendFault>> {
    let mut body = Buffer::new();
    let outgoing = encode_into(&mut body, value, limits, via)?;
    Ok(Packet { body: Body::Own(body), blobs: outgoing.blobs, descriptors: outgoing.descriptors })
}

/// Encodes one value behind what is in the buffer. After an error anything may follow that.
#[inline]
fn encode_into<T: Serialize + ?Sized>(
    body: &mut Buffer,
    value: &T,
    limits: &Limits,
    via: Option<PairId>,
) -> Result<frame::Outgoing, Box<SendFault>> {
    let frame = frame::Encoding::enter(limits.descriptors(), via);
    let mut writer = BoundedWriter { body, size: 0, limit: limits.max_message };
    let encoded = format::encode(value, &mut writer);
    let outgoing = frame.finish()?;
    encoded.map_err(|text| SendFault::Encode(EncodeError::Serialize(text)))?;
    let blob_size = |blob: &Bytes| blob.len().saturating_add(BLOB_ENTRY);
    let size = outgoing.blobs.iter().map(blob_size).fold(writer.size, usize::saturating_add);
    if size > limits.max_message {
        return Err(SendFault::TooLarge { size, limit: limits.max_message }.into());
    }
    Ok(outgoing)
}

/// Decodes one value, which must use up the whole packet.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(packet: Packet, limits: &Limits) -> Result<T, Box<Fault>> {
    let Packet { body, blobs, descriptors } = packet;
    let frame = frame::Decoding::enter();
    if !(blobs.is_empty() && descriptors.is_empty()) {
        frame.fill(descriptors, blobs);
    }
    decode_body(frame, body.as_slice(), limits)
}

#[inline]
fn decode_body<T: DeserializeOwned>(frame: frame::Decoding, body: &[u8], limits: &Limits) -> Result<T, Box<Fault>> {
    let decoded = decoder::decode(body, limits);
    frame.finish(decoded).map_err(refused)
}

#[cold]
fn refused(failure: decoder::Failure) -> Box<Fault> {
    Box::new(Fault::Decode(failure.into()))
}

/// Writes up to a limit, and from there on only counts, so that the error can tell the size.
struct BoundedWriter<'a> {
    body: &'a mut Buffer,
    size: usize,
    limit: usize,
}

impl format::Write for BoundedWriter<'_> {
    // Inlined into the user's crate: a number is then a store, and not a call of `memcpy`.
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len());
        if self.size <= self.limit {
            self.body.extend(bytes);
        }
    }
}
