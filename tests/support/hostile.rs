//! What the tests with a hostile peer share: the specification's checks read naively, and packets as a sender makes them.

#![allow(dead_code, reason = "each test file uses what it needs")]

use breezeway::testing::RawPeer;
use breezeway::{DecodeError, Fault, Message, ProtocolError, TryRecvError};
use serde::Serialize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A field as a whole message.
#[derive(Message)]
pub(crate) struct Of<T>(pub(crate) T);

/// What a sender makes of a message: the packet as it is on the wire.
pub(crate) fn encoded<T: Serialize>(message: T) -> (Vec<u8>, Vec<OwnedFd>) {
    let (peer, sender) = RawPeer::of_sender::<T>().unwrap();
    sender.send(message).unwrap();
    let packet = peer.receive().unwrap().unwrap();
    (packet.bytes, packet.descriptors)
}

pub(crate) fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}

/// The specification's checks of a packet before its body, one after the other, as naively as can be (M10 to M20, M45, M46, M51 to M55, M57, M58, M61 to M63 for
/// the first message of a batch). None of its descriptors is memory, or a socket that listens.
pub(crate) fn protocol_error(packet: &[u8], descriptors: usize) -> Option<ProtocolError> {
    let le = |bytes: &[u8]| bytes.iter().rev().fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    if packet.is_empty() {
        return Some(ProtocolError::Empty);
    }
    if packet.len() < 16 {
        return Some(ProtocolError::ShortHeader { expected: 16, found: packet.len() });
    }
    let (header, payload) = packet.split_at(16);
    let blobs = le(&header[6..8]) as usize;
    match header {
        [version, ..] if *version != 1 => return Some(ProtocolError::Version { expected: 1, found: *version }),
        [_, 5, ..] => return part_error(packet, descriptors),
        [_, kind, ..] if *kind != 1 && *kind != 4 => return Some(ProtocolError::Kind { expected: 1, found: *kind }),
        [_, _, low, high, ..] if *low > 3 || *high > 0 => {
            return Some(ProtocolError::Flags { found: u16::from_le_bytes([*low & 0xfc, *high]) });
        }
        _ if blobs > 64 => return Some(ProtocolError::BlobCount { announced: blobs, limit: 64 }),
        [_, 4, _, _, low, high, ..] if (*low, *high, blobs) != (0, 0, 0) => {
            return Some(ProtocolError::NotAlone { descriptors: u16::from_le_bytes([*low, *high]).into(), blobs });
        }
        [_, 4, ..] if le(&header[8..16]) == 0 => return Some(ProtocolError::EmptyBatch),
        [_, _, 2 | 3, _, 0, 0, ..] => return Some(ProtocolError::EmptyNest),
        _ => {}
    }
    let found = payload.len();
    let (in_memory, nested) = (header[2] & 1 == 1, header[2] & 2 == 2);
    if in_memory && found > 0 {
        return Some(ProtocolError::LongBody { announced: 0, found });
    }
    let announced = if nested { 1 } else { le(&header[4..6]) as usize } + usize::from(in_memory);
    if announced != descriptors {
        return Some(ProtocolError::DescriptorCount { announced, found: descriptors });
    }
    if nested {
        return Some(ProtocolError::NotNested);
    }
    if in_memory {
        return Some(ProtocolError::NotMemory);
    }
    let capped = |length: u128| length.min(u128::from(u64::MAX)) as u64;
    let front = le(&header[8..16]) + 8 * blobs as u128;
    if front > found as u128 {
        return Some(ProtocolError::ShortBody { announced: capped(front), found });
    }
    let table = &payload[front as usize - 8 * blobs..front as usize];
    let total = front + table.chunks(8).map(le).sum::<u128>();
    match total.cmp(&(found as u128)) {
        std::cmp::Ordering::Greater => Some(ProtocolError::ShortBody { announced: capped(total), found }),
        std::cmp::Ordering::Less => Some(ProtocolError::LongBody { announced: capped(total), found }),
        std::cmp::Ordering::Equal if header[1] == 4 => short_frame(payload),
        std::cmp::Ordering::Equal => None,
    }
}

/// What is wrong with a part where no message is unfinished (M51 to M55); with the message, if it is all of one.
fn part_error(packet: &[u8], descriptors: usize) -> Option<ProtocolError> {
    let number = |at: usize, bytes: usize| packet[at..at + bytes].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let (flags, announced, blobs, total) = (number(2, 2) as u16, number(4, 2) as usize, number(6, 2) as usize, number(8, 8));
    match () {
        () if flags > 0 => return Some(ProtocolError::Flags { found: flags }),
        () if blobs > 0 => return Some(ProtocolError::BlobCount { announced: blobs, limit: 0 }),
        () if announced != descriptors => return Some(ProtocolError::DescriptorCount { announced, found: descriptors }),
        () if packet.len() < 32 => return Some(ProtocolError::ShortHeader { expected: 32, found: packet.len() }),
        () => {}
    }
    let (found, bytes) = (number(24, 8), &packet[32..]);
    match () {
        () if found > 0 || bytes.len() as u64 > total => Some(ProtocolError::Part { expected: 0, found, total }),
        () if total < 16 => Some(ProtocolError::ShortHeader { expected: 16, found: total as usize }),
        () if (bytes.len() as u64) < total && descriptors > 0 => Some(ProtocolError::PartDescriptors { descriptors }),
        () if (bytes.len() as u64) < total || total > 64 << 20 => panic!("this is for tests/parts.rs"),
        () if bytes[0] == 1 && bytes[1] != 1 => Some(ProtocolError::Kind { expected: 1, found: bytes[1] }),
        () => protocol_error(bytes, descriptors),
    }
}

/// What is wrong with the first message of what is left of a batch.
pub(crate) fn short_frame(left: &[u8]) -> Option<ProtocolError> {
    let length = left.get(..4).map_or(0, |length| {
        u64::from(length[0]) + 256 * u64::from(length[1]) + 65536 * (u64::from(length[2]) + 256 * u64::from(length[3]))
    });
    (4 + length > left.len() as u64).then_some(ProtocolError::ShortFrame { announced: 4 + length, found: left.len() })
}

pub(crate) fn fault<T>(received: Result<T, TryRecvError>) -> Fault {
    match received {
        Err(TryRecvError::Fault(fault)) => fault,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was received"),
    }
}

pub(crate) fn protocol<T>(received: Result<T, TryRecvError>) -> ProtocolError {
    match fault(received) {
        Fault::Protocol(error) => error,
        fault => panic!("{fault:?}"),
    }
}

pub(crate) fn decode<T>(received: Result<T, TryRecvError>) -> DecodeError {
    match fault(received) {
        Fault::Decode(error) => error,
        fault => panic!("{fault:?}"),
    }
}
