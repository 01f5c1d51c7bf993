//! What an end accepts and sends at most. Plain numbers; they are enforced by the codec and the transport.

use crate::sys::message::SCM_MAX_FD;

/// What one end of a channel sends and accepts at most, per message.
///
/// Each end has its own, which do not travel with it, and enforces them in both directions: a message above them is refused before
/// anything is sent, and one that arrives costs an error and nothing else.
///
/// ```
/// use breezeway::{Limits, channel};
///
/// let limits = Limits::new().max_message(64 * 1024).max_descriptors(4);
/// let (sender, receiver) = channel::<String>()?;
/// let (sender, receiver) = (sender.with_limits(limits), receiver.with_limits(limits));
/// assert!(sender.send("x".repeat(100_000)).is_err());
/// # drop(receiver);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one encoded message, without its header. Default: 64 MiB, chosen, not tuned.
    ///
    /// What fits in no packet (about 4 MiB; 208 KiB on older kernels) travels in several packets, for which the receiver has a buffer, or in sealed memory, which it maps. For packets, a
    /// receiving thread reserves this much address space, up to 4 MiB, and touches only what messages fill.
    pub max_message: usize,
    /// Descriptors in one message. Default: 253, the kernel's own limit for one packet (`SCM_MAX_FD`); more than 65,535 counts as 65,535,
    /// which is what a header can count.
    ///
    /// More than a packet has room for (253, or 252 beside a message that fits in no packet) travel in a socket that it carries. While a
    /// message is sent, the sender holds two descriptors for each that it carries.
    pub max_descriptors: usize,
    /// Levels of nesting in one received message: structs, enums, sequences, maps and options within each other. Default: 128, chosen, not tuned.
    pub max_depth: usize,
    /// How many bytes of values one received byte may turn into, on top of 64 KiB that any message may. Default: 64, chosen so that
    /// collections of empty collections pass (24 bytes for 8, 48 for an empty `HashMap`). Bytes beyond the first 4 MiB count an eighth of it:
    /// what is so large is mostly data.
    pub max_expansion: usize,
}

impl Limits {
    /// The bytes of a body that may turn into as much as small messages do.
    const FULL_EXPANSION: usize = 4 << 20;

    /// The defaults.
    #[must_use]
    pub const fn new() -> Limits {
        Limits { max_message: 64 << 20, max_descriptors: SCM_MAX_FD, max_depth: 128, max_expansion: 64 }
    }

    /// Sets the bytes of one encoded message.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Limits {
        self.max_message = bytes;
        self
    }

    /// Sets the descriptors in one message; more than 65,535 counts as 65,535.
    #[must_use]
    pub const fn max_descriptors(mut self, count: usize) -> Limits {
        self.max_descriptors = count;
        self
    }

    /// Descriptors in one message, as a header can count.
    pub(crate) const fn descriptors(&self) -> usize {
        const MOST: usize = u16::MAX as usize;
        if self.max_descriptors < MOST { self.max_descriptors } else { MOST }
    }

    /// Sets the levels of nesting in one received message.
    #[must_use]
    pub const fn max_depth(mut self, levels: usize) -> Limits {
        self.max_depth = levels;
        self
    }

    /// The bytes of values that a body of this length may turn into, but for what any may.
    #[inline]
    pub(crate) fn expanded(&self, body: usize) -> usize {
        let beyond = body.saturating_sub(Limits::FULL_EXPANSION);
        let full = self.max_expansion.saturating_mul(body.min(Limits::FULL_EXPANSION));
        self.max_expansion.div_ceil(8).saturating_mul(beyond).saturating_add(full)
    }

    /// Sets how many bytes of values one received byte may turn into.
    #[must_use]
    pub const fn max_expansion(mut self, factor: usize) -> Limits {
        self.max_expansion = factor;
        self
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_descriptors_than_a_header_counts_are_as_many_as_it_counts() {
        let counted = [0, 253, 65_535, 65_536, usize::MAX].map(|count| Limits::new().max_descriptors(count).descriptors());
        assert_eq!(counted, [0, 253, 65_535, 65_535, 65_535]);
    }
}
