//! Processes that talk on a channel from their first moment: a fork of this one ([`ForkedProcess`]), and how a process ended ([`Outcome`]).
//!
//! A handle is a channel and a [`Process`]. Nothing here reports a failure as a success: an exit status, a signal, a panic (with its
//! message) and "somebody else reaped it" are different outcomes. Stands on the channels.

mod child;
mod fork;
mod handle;
mod outcome;
mod panic;
pub mod raw;
mod siblings;

pub use child::{Child, ForkedProcess};
pub use fork::ForkError;
pub use handle::Process;
pub use outcome::{JoinError, Outcome, PanicReport};
