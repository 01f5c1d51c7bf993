//! The body of a batch as bytes: messages, each behind its length.
//!
//! Knows no types: a frame is whole, or what is left of the body is none. Clippy's checks of this folder hold here too.

use crate::error::ProtocolError;

/// Bytes of a frame's length, a `u32`.
pub(crate) const LENGTH: usize = 4;

/// What stands in front of a message of so many bytes. One beyond 4 GiB is in no batch.
#[inline]
pub(crate) fn length(message: usize) -> [u8; LENGTH] {
    u32::try_from(message).unwrap_or(u32::MAX).to_le_bytes()
}

/// Takes the first message off what is left of a batch's body: it, and what follows.
#[inline]
pub(crate) fn split(left: &[u8]) -> Result<(&[u8], &[u8]), ProtocolError> {
    let short = |message: u32| ProtocolError::ShortFrame { announced: u64::from(message).saturating_add(LENGTH as u64), found: left.len() };
    let (length, rest) = left.split_first_chunk().ok_or_else(|| short(0))?;
    let message = u32::from_le_bytes(*length);
    usize::try_from(message).ok().and_then(|length| rest.split_at_checked(length)).ok_or_else(|| short(message))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_that_is_cut_off_is_none() {
        let short = |announced, found| Err(ProtocolError::ShortFrame { announced, found });
        assert_eq!(split(&[]), short(4, 0));
        assert_eq!(split(&[1, 0, 0]), short(4, 3));
        assert_eq!(split(&[1, 0, 0, 0]), short(5, 4));
        assert_eq!(split(&[255; 7]), short((1 << 32) + 3, 7));
        assert_eq!(split(&[0, 0, 0, 0, 9]), Ok((&[][..], &[9][..])));
        assert_eq!(split(&[2, 0, 0, 0, 7, 8]), Ok((&[7, 8][..], &[][..])));
    }

    proptest! {
        #[test]
        fn what_is_framed_is_found_again(messages: Vec<Vec<u8>>) {
            let body: Vec<u8> = messages.iter().flat_map(|message| length(message.len()).into_iter().chain(message.iter().copied())).collect();
            let mut left = body.as_slice();
            for message in &messages {
                let (found, rest) = split(left).unwrap();
                prop_assert_eq!(found, message);
                left = rest;
            }
            prop_assert!(left.is_empty());
        }
    }
}
