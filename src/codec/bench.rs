//! The body codec alone, for `benches/` and tests: what encoding and decoding cost, and stay within, without a channel around them; and where
//! the decoder takes the running stack to end.

use crate::error::{Fault, SendFault};
use crate::limits::Limits;
use serde::{Serialize, de::DeserializeOwned};

/// The body of a message without descriptors and blobs.
///
/// # Errors
///
/// Those of sending it.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, SendFault> {
    Ok(super::encode(message, &Limits::default(), None).map_err(|fault| *fault)?.body.as_slice().to_vec())
}

/// Decodes a body by the library's own decoder, with all its budgets.
///
/// # Errors
///
/// Those of receiving it.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    decode_within(body, &Limits::default())
}

/// The same within other limits than the default.
///
/// # Errors
///
/// Those of receiving it.
pub fn decode_within<T: DeserializeOwned>(body: &[u8], limits: &Limits) -> Result<T, Fault> {
    super::decoder::decode(body, limits).map_err(|failure| Fault::Decode(failure.into()))
}

/// The lowest address that the decoder would use of the running stack.
pub fn stack_end() -> usize {
    crate::sys::stack::end()
}
