//! For tests: a peer that sends literal bytes, and a ledger that notices descriptors left open. Feature `testing`.
//!
//! Used by this project's own tests, and useful to anybody whose program must survive a hostile or broken peer.

mod ledger;
mod peer;

pub use ledger::{FdLedger, Leak};
pub use peer::{RawPeer, batch_packet, packet};
