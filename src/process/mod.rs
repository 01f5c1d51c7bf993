//! Processes that talk on a channel from their first moment: a fork of this one ([`ForkedProcess`]), or another program
//! ([`CommandExt`], and [`inherited`] in that program); and how a process ended ([`Outcome`]).
//!
//! A handle is a channel and a [`Process`]. Nothing here reports a failure as a success: an exit status, a signal, a panic (with its
//! message) and "somebody else reaped it" are different outcomes. Stands on the channels.

mod child;
mod environment;
mod fork;
mod handle;
mod inherit;
mod keeper;
mod outcome;
mod panic;
pub mod raw;
mod siblings;
mod spawn;

pub use child::{Child, ForkedProcess};
pub use fork::ForkError;
pub use handle::Process;
pub use inherit::{InheritError, inherited, inherited_fd, inherited_with};
pub use outcome::{JoinError, Outcome, PanicReport};
pub use spawn::{CommandExt, Spawn, SpawnError};
