//! Run it: `cargo run --example lecture`
//!
//! A forked child sends one message over a socket pair: the last program of the lecture that breezeway grew out of, with its names,
//! and without its `unsafe`.

use breezeway::process::raw::ForkedProcess;
use breezeway::socket::{Family, Protocol, SocketType, socketpair};
use std::io;

#[derive(Copy, Clone, Debug, PartialEq, breezeway::Message)]
enum Message {
    None,
    Request,
}

fn main() -> io::Result<()> {
    let sockets = socketpair(Family::Unix, SocketType::SeqPacket, Protocol::None)?;

    let mut child = ForkedProcess::spawn(|mut sock| sock.send(Message::Request), sockets)?;

    let message: Message = child.socket.receive()?;
    println!("{message:?}");

    child.join()?;
    Ok(())
}
