//! What stands in front of the bytes of a part: whose they are, and where they belong.
//!
//! A part is a piece of a packet that is too long to be sent. Clippy's checks of this folder hold here too.

use super::{HEADER, Header, Kind};

/// Bytes in front of a part's own: a header, and these two numbers.
pub(crate) const PART: usize = HEADER + 16;

/// The offset of a part that withdraws its message.
pub(crate) const WITHDRAWN: u64 = u64::MAX;

/// Where a part belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The message, as its sender calls it.
    pub(crate) id: u64,
    /// The bytes of it that were sent before.
    pub(crate) offset: u64,
}

impl Place {
    /// What goes in front of a part of a packet of `total` bytes.
    pub(crate) fn encode(self, descriptors: u16, total: u64) -> [u8; PART] {
        let mut bytes = [0; PART];
        let header = Header { kind: Kind::Part, memory: false, nested: false, descriptors, blobs: 0, body: total }.encode();
        let numbers = [self.id.to_le_bytes(), self.offset.to_le_bytes()];
        bytes.iter_mut().zip(header.into_iter().chain(numbers.into_iter().flatten())).for_each(|(byte, value)| *byte = value);
        bytes
    }

    /// Reads it off what is behind a part's header: it, and the part's own bytes.
    pub(crate) fn decode(payload: &[u8]) -> Option<(Place, &[u8])> {
        let (id, payload) = payload.split_first_chunk()?;
        let (offset, bytes) = payload.split_first_chunk()?;
        Some((Place { id: u64::from_le_bytes(*id), offset: u64::from_le_bytes(*offset) }, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_begins_with_these_bytes() {
        let place = Place { id: 0x0807_0605_0403_0201, offset: 9 };
        let bytes = place.encode(2, 0x1000);
        let expected = [1, 5, 0, 0, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, expected);
        assert_eq!(bytes.split_first_chunk::<HEADER>().map(|(_, numbers)| Place::decode(numbers)), Some(Some((place, &[][..]))));
        assert_eq!(Place::decode(&[0; 15]), None);
    }
}
