//! remoc's base channel over a unix stream socket, with its default codec and configuration.
//!
//! <https://docs.rs/remoc/0.20.5/remoc/connect/index.html> spawns the connection; <https://docs.rs/remoc/0.20.5/remoc/codec/index.html>
//! asks for `Bytes` or `serde_bytes`. Messages above 16 MiB need `with_max_item_size`.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::Serde;
use crate::side::{Carry, Side, Typed};
use remoc::rch::base::{Receiver, Sender};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

pub(crate) fn contestant() -> Contestant {
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let socket = meeting.talk()?;
        socket.set_nonblocking(true)?;
        let (mut sender, mut receiver) = runtime.block_on(async {
            let (reader, writer) = UnixStream::from_std(socket)?.into_split();
            let (connection, sender, receiver) = remoc::Connect::io(remoc::Cfg::default(), reader, writer).await?;
            tokio::spawn(connection);
            Ok::<_, crate::Error>((sender, receiver))
        })?;
        // Room for what is around the body.
        let most = sender.max_item_size().max(2 * meeting.size);
        sender.set_max_item_size(most);
        receiver.set_max_item_size(most);
        Ok(Typed::side(Channel { sender, receiver, runtime }, meeting.size))
    };
    let how = "postbag, with serde_bytes; one thread of tokio";
    Contestant { name: "remoc", how, package: Some("remoc"), link: Link::Stream, build, unfit: any }
}

/// In the order in which they are dropped: the ends belong to the runtime.
struct Channel {
    sender: Sender<Serde>,
    receiver: Receiver<Serde>,
    runtime: Runtime,
}

/// How often the connection's task has its turn before what was sent counts as on its way: a ping is written in the first few.
const TURNS: usize = 64;

impl Carry for Channel {
    type Message = Serde;

    fn send(&mut self, message: Serde) -> Result<Option<Serde>> {
        self.runtime.block_on(self.sender.send(message)).map_err(|error| error.without_item())?;
        Ok(None)
    }

    fn receive(&mut self) -> Result<Serde> {
        Ok(self.runtime.block_on(self.receiver.recv())?.ok_or("the other side has ended")?)
    }

    fn settle(&mut self) -> Result<()> {
        self.runtime.block_on(async {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        });
        Ok(())
    }
}
