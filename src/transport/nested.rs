//! The road of more descriptors than one control message holds: they wait in a socket, which the packet carries in their place.
//!
//! A nested socket listens. One connection waits at it; in that, packets of one byte wait with up to 253 descriptors each, and behind them the
//! end. All of it is there before the outer packet is sent, so a message is whole or not at all, and nobody waits for anybody.
//!
//! One invariant: what is received on is a socket that `accept` has made for this process alone. A socket of a pair would not do: who keeps a
//! copy of one can hold up every receive on it, those with `MSG_DONTWAIT` too (Linux 6.18, tried: the kernel lets one process receive at a
//! time, and its receive may be into memory that it does not provide). `accept` takes no such lock, and waits for nothing once the listening
//! socket is shut down, which nobody can take back.

use super::{NotReceived, NotSent, SEND_BUFFER, Wait, memory, receive_parts, send_parts};
use crate::error::{Fault, ProtocolError, SendFault, SystemError};
use crate::packet::List;
use crate::sys::message::SCM_MAX_FD;
use crate::sys::socket;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A nested socket with duplicates of these. Without time to wait it is made only if there is room for the packet that is to carry it.
#[cold]
pub(super) fn packed(socket: BorrowedFd<'_>, descriptors: &[OwnedFd], wait: Wait) -> Result<OwnedFd, NotSent> {
    memory::look_for_room(socket, wait)?;
    let count = descriptors.len();
    let failed = |call| move |source| SendFault::Nested { count, source: SystemError { call, source } };
    let (nested, connection) = socket::seqpacket_waiting().map_err(failed("making a listening socket"))?;
    socket::set_send_buffer(connection.as_fd(), SEND_BUFFER / 2).map_err(failed("setsockopt"))?;
    for (packets, part) in descriptors.chunks(SCM_MAX_FD).enumerate() {
        match send_parts(connection.as_fd(), &[IoSlice::new(&[0])], part, Wait::Not) {
            Err(NotSent::Full) => return Err(SendFault::TooManyDescriptors { count, limit: packets * SCM_MAX_FD }.into()),
            sent => sent?,
        }
    }
    Ok(nested)
}

/// Takes so many descriptors out of what should be a nested socket, and finds it at its end. Never waits.
#[cold]
pub(super) fn unpacked(nested: BorrowedFd<'_>, count: usize) -> Result<List<OwnedFd>, Fault> {
    if !socket::is_seqpacket_listener(nested) {
        return Err(ProtocolError::NotNested.into());
    }
    let connection = socket::take_waiting(nested).map_err(|source| match source.raw_os_error() {
        Some(socket::EMFILE | socket::ENFILE) => Fault::FdTableFull,
        _ => Fault::Nested(SystemError { call: "accept4", source }),
    })?;
    let mut descriptors = List::new();
    let taken = take_out(connection.ok_or(ProtocolError::NestedOpen)?.as_fd(), count, &mut descriptors);
    if taken.is_err() {
        socket::close_at_once(&descriptors);
    }
    taken.map(|()| descriptors)
}

/// Each packet brings one at least, so there are no more rounds than descriptors.
fn take_out(connection: BorrowedFd<'_>, count: usize, descriptors: &mut List<OwnedFd>) -> Result<(), Fault> {
    loop {
        let mut part = List::new();
        let arrival = match receive_parts(connection, &mut [0], [&mut Vec::new(), &mut Vec::new()], &mut part, Wait::Not) {
            Ok(arrival) => arrival,
            Err(NotReceived::Closed) if descriptors.len() == count => return Ok(()),
            Err(NotReceived::Closed) => return Err(ProtocolError::NestedCount { announced: count, found: descriptors.len() }.into()),
            Err(NotReceived::Empty) => return Err(ProtocolError::NestedOpen.into()),
            Err(NotReceived::Fault(fault)) => return Err(*fault),
        };
        let found = part.len();
        descriptors.extend(part.into_vec());
        if arrival.descriptors_cut {
            return Err(Fault::FdTableFull);
        }
        if arrival.cut || found == 0 {
            return Err(ProtocolError::NestedPacket { descriptors: found }.into());
        }
        if descriptors.len() > count {
            return Err(ProtocolError::NestedCount { announced: count, found: descriptors.len() }.into());
        }
    }
}
