//! `sendmsg(2)` and `recvmsg(2)` on a seqpacket socket, and bytes without a type: what the kernel takes for it.

use super::{Contestant, any};
use crate::Result;
use crate::meeting::{Link, Meeting};
use crate::message::is_filled;
use crate::raw::{Buffer, Socket};
use crate::side::Side;

/// The largest packet; a longer request is sent as several of a quarter of it, which is faster than one in memory.
const LARGEST: usize = 4 << 20;

pub(crate) fn contestant() -> Contestant {
    let how = "no types, no codec; above 4 MiB packets of 1 MiB";
    let build = |meeting: &Meeting| -> Result<Box<dyn Side>> {
        let size = meeting.size;
        let packet = if size > LARGEST { LARGEST / 4 } else { size };
        Ok(Box::new(Floor { socket: Socket::from(meeting.socket()?), buffer: Buffer::new(), packet, packets: size / packet }))
    };
    Contestant { name: "raw seqpacket", how, package: None, link: Link::Packets, build, unfit: any }
}

struct Floor {
    socket: Socket,
    buffer: Buffer,
    packet: usize,
    packets: usize,
}

/// Where the id lies in a packet; the rest is filled with its last byte.
const ID: usize = size_of::<u64>();

impl Side for Floor {
    fn send(&mut self, id: Option<u64>) -> Result<()> {
        let Some(id) = id else { return Ok(self.socket.send(&mut self.buffer, 1)?) };
        for _ in 0..self.packets {
            let body = self.buffer.body(self.packet);
            body.fill(id as u8);
            body[..ID].copy_from_slice(&id.to_ne_bytes());
            self.socket.send(&mut self.buffer, self.packet)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<u64>> {
        let mut found = None;
        for _ in 0..self.packets {
            let length = self.socket.receive(&mut self.buffer)?.ok_or("the other side has ended")?;
            let Some((id, rest)) = self.buffer.body(length).split_first_chunk::<ID>() else { return Ok(None) };
            let id = u64::from_ne_bytes(*id);
            if length != self.packet || !is_filled(id, rest) {
                return Err("a packet is not what was sent".into());
            }
            found = Some(id);
        }
        Ok(found)
    }
}
