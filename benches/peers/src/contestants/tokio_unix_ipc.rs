//! tokio-unix-ipc: <https://docs.rs/tokio-unix-ipc/0.4.0>. `channel_from_std`, on a runtime of one thread.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::Serde;
use crate::side::{Carry, Side, Typed};
use tokio::runtime::{Builder, Runtime};
use tokio_unix_ipc::{Receiver, Sender, channel_from_std};

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let socket = meeting.talk()?;
        socket.set_nonblocking(true)?;
        let (sender, receiver) = runtime.block_on(async { channel_from_std(socket) })?;
        Ok(Typed::side(Channel { sender, receiver, runtime }, meeting.size))
    };
    let how = "bincode 1, with serde_bytes; one thread of tokio";
    Contestant { name: "tokio-unix-ipc", how, package: Some("tokio-unix-ipc"), link: Link::Stream, build, unfit: any }
}

/// In the order in which they are dropped: the ends belong to the runtime.
struct Channel {
    sender: Sender<Serde>,
    receiver: Receiver<Serde>,
    runtime: Runtime,
}

impl Carry for Channel {
    type Message = Serde;

    fn send(&mut self, message: Serde) -> Result<Option<Serde>> {
        self.runtime.block_on(self.sender.send(message))?;
        Ok(None)
    }

    fn receive(&mut self) -> Result<Serde> {
        Ok(self.runtime.block_on(self.receiver.recv())?)
    }
}
