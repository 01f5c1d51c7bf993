//! The packet header as bytes. `docs/wire-format.md` is the specification; this is its only implementation.
//!
//! Knows numbers and bytes: no descriptors, no I/O, no allocation. Every check that needs nothing but the header is here; what a batch's body
//! is made of is in [`batch`], and what stands in front of a part's bytes in [`part`].

#![deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::indexing_slicing)]

pub(crate) mod batch;
pub(crate) mod part;

use crate::error::ProtocolError;
use crate::packet::Packet;

/// Bytes of a header.
pub(crate) const HEADER: usize = 16;
/// Bytes of one entry of the blob table: a blob's length as u64.
pub(crate) const BLOB_ENTRY: usize = 8;

const VERSION: u8 = 1;
/// The flag of [`Header::memory`].
const MEMORY: u16 = 1;
/// The flag of [`Header::nested`].
const NESTED: u16 = 2;

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One value.
    Message = 1,
    /// What a program says of itself, ahead of everything else.
    Hello = 2,
    /// The schemas of both message types, where those of two hellos differ.
    Schemas = 3,
    /// Values, each behind its length.
    Batch = 4,
    /// A piece of a packet.
    Part = 5,
}

/// What stands before the body of every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Everything behind the header is in memory, the packet's last descriptor, which is not one of the message's.
    pub(crate) memory: bool,
    /// The message's descriptors are in a socket, the packet's first descriptor, which is not one of them.
    pub(crate) nested: bool,
    /// Descriptors of the message.
    pub(crate) descriptors: u16,
    /// Entries in the blob table.
    pub(crate) blobs: u16,
    /// Bytes of the body; of a part, of the packet that it is a piece of.
    pub(crate) body: u64,
}

impl Header {
    #[inline]
    pub(crate) fn encode(self) -> [u8; HEADER] {
        let [d0, d1] = self.descriptors.to_le_bytes();
        let [b0, b1] = self.blobs.to_le_bytes();
        let [l0, l1, l2, l3, l4, l5, l6, l7] = self.body.to_le_bytes();
        let [f0, f1] = (if self.memory { MEMORY } else { 0 } | if self.nested { NESTED } else { 0 }).to_le_bytes();
        [VERSION, self.kind as u8, f0, f1, d0, d1, b0, b1, l0, l1, l2, l3, l4, l5, l6, l7]
    }

    /// Reads the header of a packet that is to be of one of these kinds, of which the first is what is expected.
    #[inline]
    pub(crate) fn decode(bytes: [u8; HEADER], expected: &[Kind]) -> Result<Header, ProtocolError> {
        let [version, kind, f0, f1, d0, d1, b0, b1, l0, l1, l2, l3, l4, l5, l6, l7] = bytes;
        let flags = u16::from_le_bytes([f0, f1]);
        let blobs = u16::from_le_bytes([b0, b1]);
        if version != VERSION {
            return Err(ProtocolError::Version { expected: VERSION, found: version });
        }
        let Some(kind) = expected.iter().copied().find(|expected| *expected as u8 == kind) else {
            return Err(ProtocolError::Kind { expected: expected.first().map_or(0, |expected| *expected as u8), found: kind });
        };
        // A hello is what any two versions of this library understand. A part's message has its own flags.
        let reserved = flags & !(if matches!(kind, Kind::Hello | Kind::Part) { 0 } else { MEMORY | NESTED });
        if reserved != 0 {
            return Err(ProtocolError::Flags { found: reserved });
        }
        let limit = if kind == Kind::Part { 0 } else { Packet::MAX_BLOBS };
        if usize::from(blobs) > limit {
            return Err(ProtocolError::BlobCount { announced: blobs.into(), limit });
        }
        let descriptors = u16::from_le_bytes([d0, d1]);
        let body = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        if kind == Kind::Batch && (descriptors > 0 || blobs > 0) {
            return Err(ProtocolError::NotAlone { descriptors: descriptors.into(), blobs: blobs.into() });
        }
        if kind == Kind::Batch && body == 0 {
            return Err(ProtocolError::EmptyBatch);
        }
        let nested = flags & NESTED != 0;
        if nested && descriptors == 0 {
            return Err(ProtocolError::EmptyNest);
        }
        Ok(Header { kind, memory: flags & MEMORY != 0, nested, descriptors, blobs, body })
    }

    /// Whether a payload of so many bytes is the body and nothing else, as it should be.
    #[inline]
    pub(crate) fn is_body_of(self, len: usize) -> bool {
        self.blobs == 0 && self.body == len as u64
    }

    /// Finds the parts in `payload`, all that is behind the header: the body's length, and each blob's bytes in order.
    ///
    /// The lengths must add up to the payload exactly; a sum beyond 2⁶⁴ counts as 2⁶⁴ − 1, which no payload has.
    pub(crate) fn parts(self, payload: &[u8]) -> Result<(usize, impl Iterator<Item = &[u8]>), ProtocolError> {
        let fixed = self.body.saturating_add(u64::from(self.blobs).saturating_mul(BLOB_ENTRY as u64));
        let short = |announced| ProtocolError::ShortBody { announced, found: payload.len() };
        let (fixed_len, body_len) = match (usize::try_from(fixed), usize::try_from(self.body)) {
            (Ok(fixed), Ok(body)) => (fixed, body),
            _ => return Err(short(fixed)),
        };
        let (front, blobs) = payload.split_at_checked(fixed_len).ok_or_else(|| short(fixed))?;
        let (_, table) = front.split_at_checked(body_len).ok_or_else(|| short(fixed))?;
        let announced = lengths(table).fold(fixed, u64::saturating_add);
        match announced.cmp(&(payload.len() as u64)) {
            std::cmp::Ordering::Greater => return Err(short(announced)),
            std::cmp::Ordering::Less => return Err(ProtocolError::LongBody { announced, found: payload.len() }),
            std::cmp::Ordering::Equal => {}
        }
        let mut rest = blobs;
        let blobs = lengths(table).map_while(move |length| {
            let (blob, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            rest = after;
            Some(blob)
        });
        Ok((body_len, blobs))
    }
}

/// The lengths in a blob table.
fn lengths(table: &[u8]) -> impl Iterator<Item = u64> {
    table.chunks_exact(BLOB_ENTRY).filter_map(|entry| entry.try_into().ok()).map(u64::from_le_bytes)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Header = Header { kind: Kind::Message, memory: false, nested: false, descriptors: 2, blobs: 0, body: 3 };

    #[test]
    fn a_header_is_these_bytes() {
        let header =
            Header { kind: Kind::Message, memory: false, nested: false, descriptors: 0x0102, blobs: 3, body: 0x0807_0605_0403_0201 };
        assert_eq!(header.encode(), [1, 1, 0, 0, 2, 1, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Header { memory: true, ..header }.encode(), [1, 1, 1, 0, 2, 1, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Header { nested: true, ..header }.encode(), [1, 1, 2, 0, 2, 1, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Header { memory: true, nested: true, ..header }.encode(), [1, 1, 3, 0, 2, 1, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn each_fixed_byte_of_a_header_has_its_own_error() {
        let table = [
            (0, 2, ProtocolError::Version { expected: 1, found: 2 }),
            (1, 9, ProtocolError::Kind { expected: 1, found: 9 }),
            (1, 2, ProtocolError::Kind { expected: 1, found: 2 }),
            (2, 4, ProtocolError::Flags { found: 4 }),
            (2, 0xff, ProtocolError::Flags { found: 0xfc }),
            (3, 0x80, ProtocolError::Flags { found: 0x8000 }),
            (6, 65, ProtocolError::BlobCount { announced: 65, limit: 64 }),
            (7, 1, ProtocolError::BlobCount { announced: 256, limit: 64 }),
        ];
        for (position, byte, error) in table {
            let mut bytes = PLAIN.encode();
            bytes[position] = byte;
            assert_eq!(Header::decode(bytes, &[Kind::Message]), Err(error), "byte {position}");
        }
    }

    #[test]
    fn a_batch_is_of_messages_that_travel_with_nothing() {
        let decode = |descriptors, blobs, body| {
            let header = Header { kind: Kind::Batch, memory: false, nested: false, descriptors, blobs, body };
            Header::decode(header.encode(), &[Kind::Message, Kind::Batch]).map(|found| assert_eq!(found, header))
        };
        assert_eq!(decode(0, 0, 4), Ok(()));
        assert_eq!(decode(2, 0, 4), Err(ProtocolError::NotAlone { descriptors: 2, blobs: 0 }));
        assert_eq!(decode(0, 3, 0), Err(ProtocolError::NotAlone { descriptors: 0, blobs: 3 }));
        assert_eq!(decode(0, 0, 0), Err(ProtocolError::EmptyBatch));
        let header = Header { kind: Kind::Batch, ..PLAIN };
        assert_eq!(Header::decode(header.encode(), &[Kind::Message]), Err(ProtocolError::Kind { expected: 1, found: 4 }));
    }

    #[test]
    fn a_hello_and_a_part_have_no_flags() {
        for kind in [Kind::Hello, Kind::Part] {
            let of = |memory, nested| Header { kind, memory, nested, ..PLAIN };
            assert_eq!(Header::decode(of(true, false).encode(), &[kind]), Err(ProtocolError::Flags { found: 1 }));
            assert_eq!(Header::decode(of(false, true).encode(), &[kind]), Err(ProtocolError::Flags { found: 2 }));
            assert_eq!(Header::decode(of(false, false).encode(), &[kind]), Ok(of(false, false)));
        }
    }

    #[test]
    fn a_part_has_no_blobs() {
        let part = Header { kind: Kind::Part, blobs: 1, ..PLAIN };
        assert_eq!(Header::decode(part.encode(), &[Kind::Part]), Err(ProtocolError::BlobCount { announced: 1, limit: 0 }));
    }

    #[test]
    fn what_is_nested_is_one_descriptor_at_least() {
        let decode = |kind, descriptors| {
            let header = Header { kind, nested: true, descriptors, ..PLAIN };
            Header::decode(header.encode(), &[kind]).map(|found| assert_eq!(found, header))
        };
        assert_eq!(decode(Kind::Message, 1), Ok(()));
        assert_eq!(decode(Kind::Message, u16::MAX), Ok(()));
        assert_eq!(decode(Kind::Message, 0), Err(ProtocolError::EmptyNest));
        assert_eq!(decode(Kind::Batch, 0), Err(ProtocolError::EmptyNest));
        assert_eq!(decode(Kind::Batch, 1), Err(ProtocolError::NotAlone { descriptors: 1, blobs: 0 }));
    }

    #[test]
    fn lengths_that_do_not_add_up_are_told_apart() {
        let found = |blobs, body, payload: &[u8]| Header { descriptors: 0, blobs, body, ..PLAIN }.parts(payload).map(|(body, _)| body);
        assert_eq!(found(0, 3, b"abc"), Ok(3));
        assert_eq!(found(0, 4, b"abc"), Err(ProtocolError::ShortBody { announced: 4, found: 3 }));
        assert_eq!(found(0, 2, b"abc"), Err(ProtocolError::LongBody { announced: 2, found: 3 }));
        assert_eq!(found(0, u64::MAX, b"abc"), Err(ProtocolError::ShortBody { announced: u64::MAX, found: 3 }));
        assert_eq!(found(1, u64::MAX, b"abc"), Err(ProtocolError::ShortBody { announced: u64::MAX, found: 3 }));
        assert_eq!(found(1, 0, &[255; 8]), Err(ProtocolError::ShortBody { announced: u64::MAX, found: 8 }));
        assert_eq!(found(1, 0, &[0; 7]), Err(ProtocolError::ShortBody { announced: 8, found: 7 }));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_found_again(memory: bool, nested: bool, descriptors: u16, body: Vec<u8>, blobs in proptest::collection::vec(any::<Vec<u8>>(), 0..5)) {
            let header = Header { kind: Kind::Schemas, memory, nested: nested && descriptors > 0, descriptors, blobs: blobs.len() as u16, body: body.len() as u64 };
            prop_assert_eq!(Header::decode(header.encode(), &[Kind::Schemas]), Ok(header));
            let table = blobs.iter().flat_map(|blob| (blob.len() as u64).to_le_bytes());
            let payload: Vec<u8> = body.iter().copied().chain(table).chain(blobs.concat()).collect();
            let (length, found) = header.parts(&payload).unwrap();
            prop_assert_eq!(length, body.len());
            prop_assert_eq!(found.collect::<Vec<_>>(), blobs);
        }

        #[test]
        fn no_bytes_make_it_panic_or_find_more_than_there_is(header: [u8; HEADER], payload: Vec<u8>) {
            if let Ok(header) = Header::decode(header, &[Kind::Message]) {
                if let Ok((body, blobs)) = header.parts(&payload) {
                    let found: usize = blobs.map(<[u8]>::len).sum();
                    prop_assert_eq!(body + usize::from(header.blobs) * BLOB_ENTRY + found, payload.len());
                }
            }
        }
    }
}
