//! Who takes part: one file each, and each as its own documentation recommends.

mod breezeway;
mod crossmist;
mod floor;
mod iceoryx2;
mod interprocess;
mod ipc_channel;
mod pipe;
mod remoc;
mod stream;
mod tokio_unix_ipc;
mod unix_ipc;

use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::side::{Side, Work};

/// One of those that are compared.
pub(crate) struct Contestant {
    /// As it stands in the table.
    pub(crate) name: &'static str,
    /// What else is to be known: its codec, how it waits.
    pub(crate) how: &'static str,
    /// Whose version is to be named.
    pub(crate) package: Option<&'static str>,
    pub(crate) link: Link,
    /// Makes one side, in its process.
    pub(crate) build: fn(&Meeting) -> Result<Box<dyn Side>>,
    /// Why it does not do this with requests of this size, if so: such a cell stays empty.
    pub(crate) unfit: fn(work: Work, size: usize) -> Option<&'static str>,
}

impl Contestant {
    /// The version of the package, as this program was built with it.
    pub(crate) fn version(&self) -> Option<&'static str> {
        let (_, rest) = include_str!("../../Cargo.lock").split_once(&format!("name = \"{}\"\nversion = \"", self.package?))?;
        rest.split('"').next()
    }
}

/// Does everything, with requests of any size.
fn any(_: Work, _: usize) -> Option<&'static str> {
    None
}

/// All, in the order of the table. A new one, or another way of one, is added here.
pub(crate) fn all() -> Vec<Contestant> {
    vec![
        floor::contestant(),
        breezeway::contestant(),
        breezeway::adaptive(),
        breezeway::spin(),
        breezeway::child(),
        breezeway::buffered(),
        ipc_channel::contestant(),
        unix_ipc::contestant(),
        tokio_unix_ipc::contestant(),
        crossmist::contestant(),
        interprocess::contestant(),
        pipe::contestant(),
        remoc::contestant(),
        iceoryx2::events(),
        iceoryx2::polling(),
    ]
}
