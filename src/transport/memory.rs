//! The road of a message that fits in no packet: everything behind its header travels in sealed memory, which the packet carries.
//!
//! It is one packet still, so it is sent whole or not at all, in its order, by any number of writers. Nothing that the peer does with its
//! side of the memory changes a byte of ours: `sys::memory` maps nothing that could.

use super::{NotSent, Wait, nested, send_parts, slices};
use crate::error::{Fault, ProtocolError, SendFault, SystemError};
use crate::limits::Limits;
use crate::packet::{Body, List};
use crate::sys::memory::{self, Sealed, Unfit};
use crate::sys::message::{self, Room, SCM_MAX_FD};
use crate::wire::Header;
use bytes::Bytes;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Sends the header with the payload in memory. Without time to wait the memory is made only if there is room for the packet.
#[cold]
pub(super) fn send(
    socket: BorrowedFd<'_>,
    header: Header,
    payload: &mut [IoSlice<'_>],
    descriptors: &[OwnedFd],
    wait: Wait,
) -> Result<(), NotSent> {
    look_for_room(socket, wait)?;
    // One too many, beside the memory.
    let nested = if descriptors.len() >= SCM_MAX_FD { Some(nested::packed(socket, descriptors, wait)?) } else { None };
    let descriptors = if nested.is_some() { nested.as_slice() } else { descriptors };
    let memory = filled(payload, wait)?;
    let mut all = [memory.as_fd(); SCM_MAX_FD];
    all.iter_mut().zip(descriptors).for_each(|(slot, descriptor)| *slot = descriptor.as_fd());
    let header = Header { memory: true, nested: header.nested || nested.is_some(), ..header }.encode();
    send_parts(socket, &[IoSlice::new(&header)], all.split_at(descriptors.len() + 1).0, wait)
}

/// Looks whether there is room for a packet, where there is no time to wait for it.
pub(super) fn look_for_room(socket: BorrowedFd<'_>, wait: Wait) -> Result<(), NotSent> {
    if !matches!(wait, Wait::Not) {
        return Ok(());
    }
    match message::room(socket).map_err(SystemError::in_call("sendmsg"))? {
        Room::Now => Ok(()),
        Room::Later => Err(NotSent::Full),
        Room::Never => Err(NotSent::Closed),
    }
}

/// How often sealing is tried again, if there is time. Chosen: three seconds.
const SEALINGS: u32 = 20;

/// Memory that holds the parts, one behind the other, for good.
fn filled(parts: &mut [IoSlice<'_>], wait: Wait) -> Result<File, SendFault> {
    let size = parts.iter().map(|part| part.len()).sum();
    let failed = |call| move |source| SendFault::Memory { size, source: SystemError { call, source } };
    // Looked at first, because the kernel kills a process that writes beyond it.
    let limit = memory::file_size_limit().map_err(failed("getrlimit"))?;
    if size as u64 > limit {
        return Err(SendFault::TooLarge { size, limit: usize::try_from(limit).unwrap_or(usize::MAX) });
    }
    let memory = memory::create().map_err(failed("memfd_create"))?;
    memory::write(&memory, parts).map_err(failed("writev"))?;
    // The kernel waits 150 ms for whoever has a page of it in hand (memory compaction, say), and then says `EBUSY`: seen once, Linux 6.18.
    let mut left = SEALINGS;
    loop {
        match memory::seal(memory.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && left > 0 && !wait.is_over() => left -= 1,
            sealed => break sealed.map(|()| memory).map_err(failed("fcntl")),
        }
    }
}

/// Maps the memory that came with a packet, and finds the body and the blobs in it.
#[cold]
pub(super) fn open(header: Header, memory: BorrowedFd<'_>, limits: &Limits) -> Result<(Body, List<Bytes>), Fault> {
    let failed = |call| move |source: io::Error| Fault::Memory(SystemError { call, source });
    let memory = Sealed::examine(memory).map_err(failed("looking at the memory"))?.map_err(unfit)?;
    if memory.len > limits.max_message as u64 {
        return Err(Fault::TooLarge { limit: limits.max_message });
    }
    let mapping = memory.map().map_err(failed("mmap"))?.map_err(unfit)?;
    let whole = Bytes::from_owner(mapping);
    Ok(slices(header, &whole, whole.len())?)
}

fn unfit(found: Unfit) -> ProtocolError {
    match found {
        Unfit::OtherKind => ProtocolError::NotMemory,
        Unfit::Seals { expected, found } => ProtocolError::Seals { expected, found },
        Unfit::Sparse { size, found } => ProtocolError::Sparse { size, found },
    }
}
