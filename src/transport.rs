//! Packets to the kernel and back: [`Packet`] ⇄ one `sendmsg`, one `recvmsg`.
//!
//! What fits in no packet travels in memory that the packet carries ([`mod@memory`]), or in several packets ([`mod@parts`]) that the other side puts
//! together ([`mod@assembly`]); more descriptors than a packet has room for in a socket ([`nested`]).
//! Waiting is one operation tried in three ways: not at all, for ever (the same call without `MSG_DONTWAIT`: one system call), or until
//! a moment (tried, then `poll`). `O_NONBLOCK` is never touched; where somebody else has set it, `EAGAIN` leads to `poll`. What is left
//! in the socket when its peer goes is received before the end is reported. Knows no types.

mod assembly;
mod memory;
mod nested;
mod parts;

pub(crate) use assembly::{ALL, Assembly};
pub(crate) use parts::{Leave, Right};

use crate::error::{Fault, ProtocolError, SendFault, SystemError};
use crate::limits::Limits;
use crate::packet::{Body, Buffer, List, Packet};
use crate::sys::message::{self, Arrival, Block, SCM_MAX_FD};
use crate::sys::{fd, poll, socket, stack};
use crate::wire::part::PART;
use crate::wire::{BLOB_ENTRY, HEADER, Header, Kind};
use bytes::Bytes;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// How long an operation may take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Not at all.
    Not,
    /// As long as it takes.
    Forever,
    /// Until this moment; one attempt is made in any case.
    Until(Instant),
}

impl Wait {
    /// For as long as `time`; beyond the end of the clock means for ever.
    pub(crate) fn at_most(time: std::time::Duration) -> Wait {
        Instant::now().checked_add(time).map_or(Wait::Forever, Wait::Until)
    }

    /// The same, but no longer than until this moment.
    pub(crate) fn until_at_most(self, moment: Option<Instant>) -> Wait {
        match (self, moment) {
            (Wait::Until(deadline), Some(moment)) => Wait::Until(deadline.min(moment)),
            (Wait::Forever, Some(moment)) => Wait::Until(moment),
            (wait, _) => wait,
        }
    }

    /// When it ends, if it does.
    pub(crate) fn deadline(self) -> Option<Instant> {
        if let Wait::Until(deadline) = self { Some(deadline) } else { None }
    }

    /// Whether there is no time left.
    pub(crate) fn is_over(self) -> bool {
        match self {
            Wait::Not => true,
            Wait::Forever => false,
            Wait::Until(deadline) => Instant::now() >= deadline,
        }
    }

    fn block(self) -> Block {
        if matches!(self, Wait::Forever) { Block::Yes } else { Block::No }
    }

    /// Waits for the socket; `false` when the time is over.
    fn ready(self, socket: BorrowedFd<'_>, interest: poll::Interest) -> Result<bool, SystemError> {
        let deadline = match self {
            Wait::Not => return Ok(false),
            Wait::Forever => None,
            Wait::Until(deadline) => Some(deadline),
        };
        poll::ready(socket, interest, deadline).map_err(SystemError::in_call("ppoll"))
    }
}

/// Why nothing was sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// No room, and the time is over.
    Full,
    /// Nobody can receive any more.
    Closed,
    /// Boxed, because a `Result` of it is handed on by every message.
    Fault(Box<SendFault>),
}

/// Why nothing was received.
#[derive(Debug)]
pub(crate) enum NotReceived {
    /// Nothing there, and the time is over.
    Empty,
    /// Nobody can send any more, and everything sent has been received.
    Closed,
    /// Boxed for the same reason.
    Fault(Box<Fault>),
}

impl<F: Into<SendFault>> From<F> for NotSent {
    #[cold]
    fn from(fault: F) -> NotSent {
        NotSent::Fault(Box::new(fault.into()))
    }
}

impl From<Box<SendFault>> for NotSent {
    #[cold]
    fn from(fault: Box<SendFault>) -> NotSent {
        NotSent::Fault(fault)
    }
}

impl From<Box<Fault>> for NotReceived {
    #[cold]
    fn from(fault: Box<Fault>) -> NotReceived {
        NotReceived::Fault(fault)
    }
}

impl<F: Into<Fault>> From<F> for NotReceived {
    #[cold]
    fn from(fault: F) -> NotReceived {
        NotReceived::Fault(Box::new(fault.into()))
    }
}

/// The send queue that a channel asks for, in bytes as the kernel counts them: one packet of the largest size that the kernel sends in
/// one piece (4 MiB − 320 and 17 pages of 4 KiB; Linux 6.18, tried), and the 32 bytes that it keeps back.
///
/// A queue this long takes about 5,000 small messages (768 bytes each, with the kernel's own book-keeping) before `send` waits.
const SEND_BUFFER: usize = LARGEST_PACKET + 32;
const LARGEST_PACKET: usize = (4 << 20) - 320 + 17 * 4096;

/// Two connected sockets with room for large packets. Where the system allows less (`net.core.wmem_max`), less it is.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), SystemError> {
    // Where the thread's stack ends, while it can be asked: the program may soon forbid itself the calls.
    stack::end();
    let (left, right) = socket::seqpacket_pair().map_err(SystemError::in_call("socketpair"))?;
    for end in [&left, &right] {
        // The kernel doubles what it is asked for.
        socket::set_send_buffer(end.as_fd(), SEND_BUFFER / 2).map_err(SystemError::in_call("setsockopt"))?;
    }
    Ok((left, right))
}

/// Sends one message whole, or nothing of it. What fits in no packet goes in parts where there is leave to.
#[inline]
pub(crate) fn send(socket: BorrowedFd<'_>, packet: &Packet, leave: Option<Leave<'_>>, wait: Wait) -> Result<(), NotSent> {
    send_kind(Kind::Message, socket, packet, leave, wait)
}

/// The same for a packet of any kind that has nothing but a body.
pub(crate) fn send_body(kind: Kind, socket: BorrowedFd<'_>, body: &[u8], wait: Wait) -> Result<(), NotSent> {
    let header = Header { kind, memory: false, nested: false, descriptors: 0, blobs: 0, body: body.len() as u64 };
    send_whole(socket, header, &mut [IoSlice::new(&header.encode()), IoSlice::new(body)], &[], None, wait)
}

/// The same for a packet of any kind.
pub(crate) fn send_kind(kind: Kind, socket: BorrowedFd<'_>, packet: &Packet, leave: Option<Leave<'_>>, wait: Wait) -> Result<(), NotSent> {
    let body = packet.body.as_slice();
    let (descriptors, blobs) = (count(packet.descriptors.len()), count(packet.blobs.len()));
    let nested = if packet.descriptors.len() > SCM_MAX_FD { Some(nested::packed(socket, &packet.descriptors, wait)?) } else { None };
    let carried = if nested.is_some() { nested.as_slice() } else { &packet.descriptors };
    let header = Header { kind, memory: false, nested: nested.is_some(), descriptors, blobs, body: body.len() as u64 };
    let bytes = header.encode();
    let (head, body) = (IoSlice::new(&bytes), IoSlice::new(body));
    if packet.blobs.is_empty() {
        return send_whole(socket, header, &mut [head, body], carried, leave, wait);
    }
    let mut table = [0; Packet::MAX_BLOBS * BLOB_ENTRY];
    for (entry, blob) in table.chunks_exact_mut(BLOB_ENTRY).zip(packet.blobs.iter()) {
        entry.copy_from_slice(&(blob.len() as u64).to_le_bytes());
    }
    let table = table.split_at(packet.blobs.len() * BLOB_ENTRY).0;
    let mut parts = [IoSlice::new(&[]); 3 + Packet::MAX_BLOBS];
    let filled =
        parts.iter_mut().zip([head, body, IoSlice::new(table)].into_iter().chain(packet.blobs.iter().map(|blob| IoSlice::new(blob))));
    let filled = filled.map(|(slot, part)| *slot = part).count();
    send_whole(socket, header, parts.split_at_mut(filled).0, carried, leave, wait)
}

/// Sends the slices, the header first, as a packet, or as they can be sent where they fit in none.
#[inline]
fn send_whole(
    socket: BorrowedFd<'_>,
    header: Header,
    whole: &mut [IoSlice<'_>],
    descriptors: &[OwnedFd],
    leave: Option<Leave<'_>>,
    wait: Wait,
) -> Result<(), NotSent> {
    match transmit(socket, whole, descriptors, wait) {
        Err(NotTransmitted::Refused(error)) if matches!(error.raw_os_error(), Some(message::EMSGSIZE | message::ENOBUFS)) => {
            send_large(socket, header, whole, descriptors, leave, wait)
        }
        result => result.map_err(|error| error.explain(socket, whole)),
    }
}

#[cold]
fn send_large(
    socket: BorrowedFd<'_>,
    header: Header,
    whole: &mut [IoSlice<'_>],
    descriptors: &[OwnedFd],
    leave: Option<Leave<'_>>,
    wait: Wait,
) -> Result<(), NotSent> {
    if let Some(result) = leave.and_then(|leave| parts::send(socket, leave, whole, descriptors)) {
        return result;
    }
    let (_, payload) = whole.split_at_mut(1);
    memory::send(socket, header, payload, descriptors, wait)
}

/// The codec has kept both counts within `u16`.
fn count(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

/// Sends the parts as one packet.
pub(crate) fn send_parts<D: AsFd>(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], descriptors: &[D], wait: Wait) -> Result<(), NotSent> {
    transmit(socket, parts, descriptors, wait).map_err(|error| error.explain(socket, parts))
}

/// Why a packet was not sent.
enum NotTransmitted {
    For(NotSent),
    /// For what it is.
    Refused(io::Error),
}

impl<E: Into<NotSent>> From<E> for NotTransmitted {
    fn from(error: E) -> NotTransmitted {
        NotTransmitted::For(error.into())
    }
}

impl NotTransmitted {
    #[cold]
    fn explain(self, socket: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> NotSent {
        match self {
            NotTransmitted::For(reason) => reason,
            NotTransmitted::Refused(error) => explain(socket, parts, error).into(),
        }
    }
}

/// One `sendmsg` of everything, again and again until it is done or the time is over.
#[inline]
fn transmit<D: AsFd>(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], descriptors: &[D], mut wait: Wait) -> Result<(), NotTransmitted> {
    loop {
        match message::send(socket, parts, descriptors, wait.block()) {
            Ok(_) => return Ok(()),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock if wait.ready(socket, poll::Interest::Write)? => {}
                // The kernel calls a queue writable when three quarters of it are free, and takes a packet long before that.
                ErrorKind::WouldBlock if matches!(wait, Wait::Until(_)) => wait = Wait::Not,
                ErrorKind::WouldBlock => return Err(NotSent::Full.into()),
                // A reset is reported once, for messages that the peer left unread; after it, it is a broken pipe. Older kernels have
                // other words for a peer that goes at this very moment.
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused | ErrorKind::NotConnected => {
                    return Err(NotSent::Closed.into());
                }
                _ => return Err(NotTransmitted::Refused(error)),
            },
        }
    }
}

#[cold]
fn explain(socket: BorrowedFd<'_>, parts: &[IoSlice<'_>], error: io::Error) -> SendFault {
    match (error.raw_os_error(), socket::send_buffer(socket)) {
        (Some(message::EMSGSIZE), Ok(buffer)) => {
            let size: usize = parts.iter().map(|part| part.len()).sum();
            // The kernel keeps 32 bytes of the buffer back (Linux 6.18, tried).
            SendFault::TooLarge { size: size.saturating_sub(HEADER), limit: buffer.saturating_sub(32 + HEADER) }
        }
        (Some(message::ETOOMANYREFS), _) => SendFault::TooManyInFlight,
        _ => SendFault::System(SystemError { call: "sendmsg", source: error }),
    }
}

/// Receives one message's packet and looks whether it is one of ours. On a fault the packet is gone and its descriptors are closed.
#[inline]
pub(crate) fn receive(socket: BorrowedFd<'_>, limits: &Limits, wait: Wait) -> Result<Packet, NotReceived> {
    Ok(receive_kind(&[Kind::Message], socket, limits, wait)?.1)
}

/// The same for a packet of one of these kinds, of which the first is what is expected.
#[inline]
pub(crate) fn receive_kind(kinds: &[Kind], socket: BorrowedFd<'_>, limits: &Limits, wait: Wait) -> Result<(Header, Packet), NotReceived> {
    let (mut near, mut far) = Buffer::two(receive_room(limits)).map_err(|_| no_buffer())?;
    let mut header = [0; HEADER];
    let mut descriptors = List::new();
    let arrival = receive_parts(socket, &mut header, [near.spare(), far.spare()], &mut descriptors, wait)?;
    let unpacked = one_piece(near, far).and_then(|payload| unpack(kinds, &arrival, header, payload, &mut descriptors, limits));
    match unpacked {
        Ok((header, (body, blobs))) => Ok((header, Packet { body, blobs, descriptors })),
        Err(fault) => {
            socket::close_at_once(&descriptors);
            Err(fault)
        }
    }
}

fn no_buffer() -> SystemError {
    SystemError { call: "allocating the receive buffer", source: ErrorKind::OutOfMemory.into() }
}

/// What arrived in a buffer that fits what came before it, and the rest of it in one with room for everything.
#[inline]
fn one_piece(near: Buffer, far: Buffer) -> Result<Buffer, NotReceived> {
    match (near.len(), far.len()) {
        (_, 0) => Ok(near),
        (0, _) => Ok(far),
        _ => Ok(Buffer::holding([near.as_slice(), far.as_slice(), &[]]).map_err(|_| no_buffer())?),
    }
}

/// Looks at everything that can be seen without knowing the type, and takes it apart: the body and the blobs. Of a part, all is body.
#[inline]
fn unpack(
    kinds: &[Kind],
    arrival: &Arrival,
    header: [u8; HEADER],
    payload: Buffer,
    descriptors: &mut List<OwnedFd>,
    limits: &Limits,
) -> Result<(Header, (Body, List<Bytes>)), NotReceived> {
    if arrival.bytes < HEADER {
        return Err(ProtocolError::ShortHeader { expected: HEADER, found: arrival.bytes }.into());
    }
    if arrival.descriptors_cut {
        return Err(Fault::FdTableFull.into());
    }
    let header = Header::decode(header, kinds)?;
    if header.kind == Kind::Part {
        return Ok(part(arrival, header, payload, descriptors)?);
    }
    // A thread's spare buffer may have more room than this end accepts.
    let limit = limits.max_message.min(LARGEST_PACKET);
    if arrival.cut || payload.len() > limit {
        return Err(Fault::TooLarge { limit }.into());
    }
    Ok((header, open(header, payload, descriptors, limits)?))
}

#[cold]
fn part(arrival: &Arrival, header: Header, payload: Buffer, descriptors: &List<OwnedFd>) -> Result<(Header, (Body, List<Bytes>)), Fault> {
    let (announced, found) = (header.descriptors.into(), descriptors.len());
    if found != announced {
        return Err(ProtocolError::DescriptorCount { announced, found }.into());
    }
    // What is longer than a message may be, is part of one that is.
    let header = if arrival.cut { Header { body: u64::MAX, ..header } } else { header };
    Ok((header, (Body::Own(payload), List::new())))
}

/// The same for what is behind a header, wherever it came from.
#[inline]
fn open(header: Header, mut payload: Buffer, descriptors: &mut List<OwnedFd>, limits: &Limits) -> Result<(Body, List<Bytes>), NotReceived> {
    if header.memory && payload.len() > 0 {
        return Err(ProtocolError::LongBody { announced: 0, found: payload.len() }.into());
    }
    let carried = if header.nested { 1 } else { usize::from(header.descriptors) };
    let (announced, found) = (carried + usize::from(header.memory), descriptors.len());
    if found != announced {
        return Err(ProtocolError::DescriptorCount { announced, found }.into());
    }
    let count = usize::from(header.descriptors);
    if count > limits.descriptors() {
        return Err(Fault::TooManyDescriptors { count, limit: limits.descriptors() }.into());
    }
    if let Some(nested) = descriptors.first().filter(|_| header.nested) {
        let unpacked = nested::unpacked(nested.as_fd(), count)?;
        descriptors.replace_first(unpacked);
    }
    if let Some(memory) = descriptors.last().filter(|_| header.memory) {
        let opened = memory::open(header, memory.as_fd(), limits)?;
        descriptors.pop();
        return Ok(opened);
    }
    // Most messages are a body alone.
    if header.is_body_of(payload.len()) {
        return Ok((Body::Own(payload), List::new()));
    }
    let longest = header.parts(payload.as_slice())?.1.map(<[u8]>::len).max().unwrap_or(0);
    if is_worth_pinning(longest, payload.len()) {
        // It is copied into a buffer that fits it where this one does not, and the next like it arrives in that.
        let fits = is_worth_pinning(longest, payload.room());
        let payload = if fits { payload } else { Buffer::holding([payload.as_slice(), &[], &[]]).map_err(|_| no_buffer())? };
        let room = payload.room();
        return Ok(slices(header, &Bytes::from_owner(payload), room)?);
    }
    // The thread wants its buffer back for the next message.
    let mut copies = List::new();
    let (body, blobs) = header.parts(payload.as_slice())?;
    blobs.map(Bytes::copy_from_slice).for_each(|blob| copies.push(blob));
    payload.truncate(body);
    Ok((Body::Own(payload), copies))
}

/// Finds the parts in what arrived, which takes so much room as long as a slice of it is there.
fn slices(header: Header, whole: &Bytes, room: usize) -> Result<(Body, List<Bytes>), ProtocolError> {
    let (body, found) = header.parts(whole)?;
    let mut blobs = List::new();
    blobs.extend(found.map(|blob| if is_worth_pinning(blob.len(), room) { whole.slice_ref(blob) } else { Bytes::copy_from_slice(blob) }));
    Ok((Body::Shared(whole.slice(..body)), blobs))
}

/// Whether a blob is a slice of what it arrived in, and not a copy: who keeps it keeps at most four times its size.
fn is_worth_pinning(blob: usize, room: usize) -> bool {
    blob > 0 && blob >= room / 4
}

/// Bytes behind a packet's header that this end makes room for: a message's, or a part's numbers and such a message.
#[inline]
fn receive_room(limits: &Limits) -> usize {
    limits.max_message.saturating_add(PART).min(LARGEST_PACKET)
}

/// One `recvmsg`, again and again until something arrives, the peer is gone or the time is over.
#[inline]
pub(crate) fn receive_parts(
    socket: BorrowedFd<'_>,
    head: &mut [u8],
    tails: [&mut Vec<u8>; 2],
    descriptors: &mut List<OwnedFd>,
    wait: Wait,
) -> Result<Arrival, NotReceived> {
    let [first, second] = tails;
    loop {
        match message::receive(socket, head, [&mut *first, &mut *second], descriptors, wait.block()) {
            Ok(arrival) if arrival.bytes > 0 => {
                keep_off_stdio(descriptors)?;
                return Ok(arrival);
            }
            Ok(_) => {
                socket::close_at_once(descriptors);
                descriptors.clear();
                return Err(if is_end(socket)? { NotReceived::Closed } else { Fault::from(ProtocolError::Empty).into() });
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                // The peer went without reading all that we sent: reported once, ahead of what it sent itself.
                ErrorKind::ConnectionReset => {}
                ErrorKind::WouldBlock if wait.ready(socket, poll::Interest::Read)? => {}
                ErrorKind::WouldBlock => return Err(NotReceived::Empty),
                _ => return Err(SystemError { call: "recvmsg", source: error }.into()),
            },
        }
    }
}

/// Whether nothing received means that nothing will come. An empty packet looks the same: while the peer is there, or something waits
/// behind it, that is what it was.
#[cold]
fn is_end(socket: BorrowedFd<'_>) -> Result<bool, SystemError> {
    let gone = poll::hangup(socket).map_err(SystemError::in_call("ppoll"))?;
    Ok(gone && socket::queued(socket).map_err(SystemError::in_call("ioctl"))? == 0)
}

/// Descriptors arrive on the lowest free numbers, which may be 0, 1 and 2.
#[inline]
fn keep_off_stdio(descriptors: &mut List<OwnedFd>) -> Result<(), NotReceived> {
    for descriptor in descriptors.as_mut_slice() {
        if let Some(moved) = fd::above_stdio(descriptor.as_fd()).map_err(|_| Fault::FdTableFull)? {
            *descriptor = moved;
        }
    }
    Ok(())
}
