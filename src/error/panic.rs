//! What a panic said, as text for another process.

use std::any::Any;

/// Bytes of a panic's message that are told. Chosen, not tuned.
pub(crate) const LONGEST_PANIC: usize = 64 * 1024;

/// What a panic was thrown with, if that is text.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("a value that is not text");
    let end = (0..=LONGEST_PANIC.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    text.split_at(end).0.to_owned()
}

/// The same of a panic that was caught, which goes no further: the payload is forgotten, for its destructor may panic again.
pub(crate) fn panic_text(payload: Box<dyn Any + Send>) -> String {
    let message = panic_message(payload.as_ref());
    std::mem::forget(payload);
    message
}
