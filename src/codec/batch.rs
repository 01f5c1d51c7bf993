//! Several values in one packet: each encoded as it would be alone, behind its length.
//!
//! A batch is filled by [`Batch::push`], sent by its caller, and emptied. What travels beside a body travels with one message: such a
//! message, and one that is too large, comes back as a packet of its own, for after the batch. Decoding takes one message at a time, within
//! the budgets that it would have alone.

use super::{PairId, decode_body, encode_into, frame};
use crate::error::{Fault, SendFault};
use crate::limits::Limits;
use crate::packet::{Body, Buffer, Packet};
use crate::wire::Kind;
use crate::wire::batch::{LENGTH, length};
use serde::{Serialize, de::DeserializeOwned};
use std::mem;

/// Bytes of a batch, lengths included; fewer where a message may have fewer. docs/performance.md has what other sizes cost.
const MOST: usize = 16 * 1024;

/// Messages that wait to be sent as one packet.
pub(crate) struct Batch {
    body: Buffer,
    /// Where the messages of this batch end. Behind it may be one that is the first of the next.
    end: usize,
    count: usize,
    limits: Limits,
    /// Where another buffer comes from.
    buffer: fn() -> Buffer,
}

/// What became of a message.
pub(crate) enum Pushed {
    /// It is one of the batch.
    In,
    /// The batch must be sent first: when it is ([`Batch::sent`]), this is the first of the next.
    Next,
    /// It travels alone, when the batch has been sent.
    Alone(Packet),
}

impl Batch {
    pub(crate) fn new(buffer: fn() -> Buffer) -> Batch {
        Batch { body: buffer(), end: 0, count: 0, limits: Limits::new(), buffer }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Within what its messages must be, from now on. Only an empty batch is told.
    pub(crate) fn begin(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Encodes a message. After an error the batch is what it was.
    #[inline]
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, message: &T, via: Option<PairId>) -> Result<Pushed, Box<SendFault>> {
        // What a `Serialize` that panicked has left.
        self.body.truncate(self.end);
        self.body.extend(&[0; LENGTH]);
        let outgoing = match encode_into(&mut self.body, message, &self.limits, via) {
            Ok(outgoing) => outgoing,
            Err(fault) => {
                self.body.truncate(self.end);
                return Err(fault);
            }
        };
        let (whole, most) = (self.body.len(), MOST.min(self.limits.max_message));
        let framed = whole - self.end;
        if framed > most || !outgoing.descriptors.is_empty() || !outgoing.blobs.is_empty() {
            // Of the two, the batch is the smaller one to copy.
            let mut body = mem::replace(&mut self.body, (self.buffer)());
            self.body.extend(body.as_slice().get(..self.end).unwrap_or_default());
            body.skip(self.end + LENGTH);
            return Ok(Pushed::Alone(Packet { body: Body::Own(body), blobs: outgoing.blobs, descriptors: outgoing.descriptors }));
        }
        self.body.overwrite(self.end, &length(framed - LENGTH));
        if whole > most {
            return Ok(Pushed::Next);
        }
        self.end = whole;
        self.count += 1;
        Ok(Pushed::In)
    }

    /// What to send: one message as it is alone, several as a batch.
    pub(crate) fn packet(&self) -> (Kind, &[u8]) {
        let body = self.body.as_slice().get(..self.end).unwrap_or_default();
        match body.split_at_checked(LENGTH) {
            Some((_, message)) if self.count == 1 => (Kind::Message, message),
            _ => (Kind::Batch, body),
        }
    }

    /// Its messages have left: how many they were.
    pub(crate) fn sent(&mut self) -> usize {
        self.body.remove_front(self.end);
        self.end = self.body.len();
        mem::replace(&mut self.count, usize::from(self.end > 0))
    }

    /// The message that was to be the first of the next batch will not be.
    pub(crate) fn take_back(&mut self) {
        self.body.truncate(self.end);
    }

    /// Throws its messages away.
    pub(crate) fn clear(&mut self) {
        self.take_back();
        self.sent();
    }
}

/// Decodes one message of a batch.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(message: &[u8], limits: &Limits) -> Result<T, Box<Fault>> {
    if message.len() > limits.max_message {
        return Err(Fault::TooLarge { limit: limits.max_message }.into());
    }
    decode_body(frame::Decoding::enter(), message, limits)
}
