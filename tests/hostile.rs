//! A bare socket as a hostile peer that changes packets: whatever it sends, the receiver gets the right message or the exact error, loses
//! no descriptor, and the next good packet still arrives.

#[path = "support/hostile.rs"]
mod hostile;
#[path = "support/raw.rs"]
mod raw;
mod support;

use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{Bytes, DecodeError, Fault, Message, ProtocolError, TryRecvError};
use hostile::{borrowed, decode, encoded, protocol, protocol_error};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use support::some_file;

trials!(
    every_prefix_and_every_changed_byte_of_a_plain_packet,
    every_prefix_and_every_changed_byte_of_a_packet_with_descriptors,
    every_prefix_and_every_changed_byte_of_a_packet_with_blobs,
    every_prefix_and_every_changed_byte_of_a_packet_with_both,
    random_packets_never_get_further_than_an_error,
    whatever_is_in_a_nested_socket_is_told_apart,
    the_controls_notice,
);

/// One variant for each kind of packet.
#[derive(Message)]
enum Probe {
    Plain { flag: bool, number: u16, text: String, maybe: Option<u16>, letter: char, map: BTreeMap<u8, bool>, bytes: Vec<u8> },
    Files(File, u8, Vec<OwnedFd>),
    Blobs { large: Bytes, number: u8, small: Bytes, larger: Bytes },
    Both { file: File, blob: Bytes, number: u8, more: Option<File> },
    Small(Option<u8>, Option<File>, bool),
}

fn plain() -> Probe {
    Probe::Plain {
        flag: true,
        number: 0x1234,
        text: "né".into(),
        maybe: Some(5),
        letter: '€',
        map: BTreeMap::from([(3, true), (9, false)]),
        bytes: vec![1, 2, 3],
    }
}

/// Where in a packet an index stands, and among how many.
#[derive(Clone, Copy)]
enum Index {
    Descriptor { at: usize, count: usize },
    Blob { at: usize, count: usize },
}

impl Index {
    /// What a change of one byte at `position` must lead to, if it is this index that it changes.
    fn error(self, packet: &[u8], position: usize) -> Option<DecodeError> {
        let (Index::Descriptor { at, count } | Index::Blob { at, count }) = self;
        if !(at..at + 4).contains(&position) {
            return None;
        }
        let index = u32::from_le_bytes(packet[at..at + 4].try_into().unwrap());
        // All are used, each once, so any other that there is, is used twice.
        let is_there = (index as usize) < count;
        Some(match self {
            Index::Descriptor { .. } if is_there => DecodeError::DescriptorTwice { index },
            Index::Descriptor { .. } => DecodeError::DescriptorIndex { index, count },
            Index::Blob { .. } if is_there => DecodeError::BlobTwice { index },
            Index::Blob { .. } => DecodeError::BlobIndex { index, count },
        })
    }
}

/// How many changed packets were what.
#[derive(Debug, Default, PartialEq)]
struct Classes {
    refused_before_the_body: usize,
    refused_for_an_index: usize,
    refused_for_a_value: usize,
    valid: usize,
}

/// Sends every prefix of the packet, and the packet with every byte changed to every other value (within blobs: some), and checks each
/// answer.
fn change_everything(message: fn() -> Probe, indices: &[Index]) -> Classes {
    let ledger = FdLedger::open().unwrap();
    let mut classes = Classes::default();
    {
        let (good, descriptors) = encoded(message());
        let descriptors = borrowed(&descriptors);
        let body = 16 + u64::from_le_bytes(good[8..16].try_into().unwrap()) as usize;
        let blobs_at = body + 8 * usize::from(good[6]);
        let (peer, receiver) = RawPeer::of_receiver::<Probe>().unwrap();
        let receive = |packet: &[u8]| {
            peer.send(packet, &descriptors).unwrap();
            receiver.try_recv()
        };
        let open = FdLedger::open().unwrap();
        for length in 0..good.len() {
            let error = protocol_error(&good[..length], descriptors.len()).expect("a prefix is never whole");
            assert_eq!(protocol(receive(&good[..length])), error, "the first {length} bytes");
            if length < 16 || length % 64 == 0 {
                assert_eq!(encoded(receive(&good).unwrap()).0, good, "after the first {length} bytes");
                open.check().unwrap();
            }
        }
        let mut changed = good.clone();
        for position in 0..good.len() {
            let mut values: Vec<u8> = (0..=255).filter(|value| *value != good[position]).collect();
            if position >= blobs_at {
                if position % 61 != 0 {
                    continue;
                }
                values.truncate(3);
            }
            for value in values {
                changed[position] = value;
                let received = receive(&changed);
                let context = format!("byte {position} changed from {} to {value}", good[position]);
                if let Some(error) = protocol_error(&changed, descriptors.len()) {
                    assert_eq!(protocol(received), error, "{context}");
                    classes.refused_before_the_body += 1;
                } else if let Some(error) = indices.iter().find_map(|index| index.error(&changed, position)) {
                    assert_eq!(decode(received), error, "{context}");
                    classes.refused_for_an_index += 1;
                } else if let Ok(message) = received {
                    assert_eq!(encoded(message).0, changed, "{context}");
                    classes.valid += 1;
                } else {
                    decode(received);
                    classes.refused_for_a_value += 1;
                }
                // A message that says it is a batch, which goes on behind its first frame.
                assert!(!receiver.has_buffered() || (position, value) == (1, 4), "{context}");
                while receiver.has_buffered() {
                    assert!(receiver.try_recv().is_err(), "{context}");
                }
                peer.send(&good, &descriptors).unwrap();
                receiver.try_recv().unwrap_or_else(|error| panic!("{error:?} after {context}"));
            }
            changed[position] = good[position];
            open.check().unwrap();
        }
    }
    ledger.check().unwrap();
    classes
}

fn every_prefix_and_every_changed_byte_of_a_plain_packet() {
    let classes = change_everything(plain, &[]);
    assert!(classes.refused_before_the_body > 0 && classes.refused_for_a_value > 0 && classes.valid > 0, "{classes:?}");
    // Of one other kind it is a batch, and its first bytes are a length.
    assert_eq!(classes.refused_before_the_body, 16 * 255 - 1);
}

fn every_prefix_and_every_changed_byte_of_a_packet_with_descriptors() {
    let message = || Probe::Files(some_file(), 7, vec![some_file().into(), raw::pipe()[0].try_clone().unwrap()]);
    // Variant, file, number, count, two descriptors.
    let indices = [20, 33, 37].map(|at| Index::Descriptor { at, count: 3 });
    let classes = change_everything(message, &indices);
    assert_eq!(classes.refused_for_an_index, 3 * 4 * 255);
    assert!(classes.refused_for_a_value > 0, "{classes:?}");
    assert_eq!(classes.valid, 255, "the number");
}

fn every_prefix_and_every_changed_byte_of_a_packet_with_blobs() {
    let message =
        || Probe::Blobs { large: vec![1; 4096].into(), number: 7, small: Bytes::from_static(b"small"), larger: vec![2; 4100].into() };
    // Variant, blob, number, marker of bytes in the body, length, five bytes, blob.
    let blobs = [20, 42].map(|at| Index::Blob { at, count: 2 });
    let classes = change_everything(message, &[blobs[0], blobs[1], Index::Blob { at: 25, count: 2 }]);
    assert_eq!(classes.refused_for_an_index, 3 * 4 * 255);
    assert!(classes.refused_for_a_value > 0 && classes.valid > 255, "{classes:?}");
}

fn every_prefix_and_every_changed_byte_of_a_packet_with_both() {
    let message = || Probe::Both { file: some_file(), blob: vec![1; 4096].into(), number: 7, more: Some(some_file()) };
    // Variant, file, blob, number, `Some`, file.
    let descriptors = [20, 30].map(|at| Index::Descriptor { at, count: 2 });
    let classes = change_everything(message, &[descriptors[0], descriptors[1], Index::Blob { at: 24, count: 1 }]);
    assert_eq!(classes.refused_for_an_index, 3 * 4 * 255);
    assert!(classes.refused_for_a_value > 0 && classes.valid > 255, "{classes:?}");
}

/// Random bytes behind random or right headers, with random numbers of descriptors.
fn random_packets_never_get_further_than_an_error() {
    let seed = std::env::var("BREEZEWAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand_seed);
    println!("BREEZEWAY_SEED={seed}");
    let mut state = seed;
    // xorshift64 (Marsaglia)
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Probe>().unwrap();
    let file = some_file();
    let open = FdLedger::open().unwrap();
    let (mut refused, mut received) = (0, 0);
    for round in 0..10_000 {
        let descriptors = random(4) as u16;
        let small = |random: &mut dyn FnMut(u64) -> u64| if random(3) == 0 { random(256) as u8 } else { random(3) as u8 };
        let mut body: Vec<u8> = (0..random(60)).map(|_| small(&mut random)).collect();
        if random(4) == 0 {
            // Nearly a message: a last byte that is no bool, or descriptors and blobs that it does not use.
            body = vec![4, 0, 0, 0, 0, 0, random(3) as u8];
        } else if let Some(variant) = body.get_mut(..4) {
            variant.copy_from_slice(&[random(5) as u8, 0, 0, 0]);
        }
        let blobs: Vec<Vec<u8>> = (0..random(3)).map(|_| vec![7; random(10) as usize]).collect();
        let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
        let mut bytes = packet(&body, &blobs, descriptors);
        if random(4) == 0 {
            let at = random(bytes.len() as u64) as usize;
            bytes[at] = random(256) as u8;
        }
        peer.send(&bytes, &vec![file.as_fd(); descriptors.into()]).unwrap();
        let expected = protocol_error(&bytes, descriptors.into());
        match (receiver.try_recv(), expected) {
            (Ok(_), None) => received += 1,
            (Err(TryRecvError::Fault(Fault::Decode(_))), None) => refused += 1,
            (Err(TryRecvError::Fault(Fault::Protocol(error))), Some(expected)) => assert_eq!(error, expected),
            (result, expected) => panic!("round {round}: {:?} instead of {expected:?}", result.map(drop)),
        }
        // One byte makes a batch of it, of which more may be left than its first message.
        while receiver.has_buffered() {
            assert!(!matches!(receiver.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)));
        }
        if round % 100 == 0 {
            open.check().unwrap();
        }
    }
    open.check().unwrap();
    assert!(refused > 0 && received > 0, "{refused} refused, {received} received");
}

/// M59, M60 and M65, read naively: what is wrong with these packets of so many bytes and descriptors.
fn nested_error(packets: &[(usize, usize)], is_closed: bool, announced: usize) -> Option<ProtocolError> {
    let mut found = 0;
    for (index, (bytes, descriptors)) in packets.iter().enumerate() {
        match (bytes, descriptors) {
            // Where nothing follows, an empty packet is the end (M9).
            (0, _) if is_closed && packets[index..].iter().all(|packet| packet.0 == 0) => break,
            (0, _) => return Some(ProtocolError::Empty),
            (1, 1..) => found += descriptors,
            _ => return Some(ProtocolError::NestedPacket { descriptors: *descriptors }),
        }
        if found > announced {
            return Some(ProtocolError::NestedCount { announced, found });
        }
    }
    match is_closed {
        false => Some(ProtocolError::NestedOpen),
        true => (found != announced).then_some(ProtocolError::NestedCount { announced, found }),
    }
}

/// Random packets in a socket, of which a few are what a sender would put there.
fn whatever_is_in_a_nested_socket_is_told_apart() {
    let seed = std::env::var("BREEZEWAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand_seed);
    println!("BREEZEWAY_SEED={seed}");
    let mut state = seed;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below) as usize
    };
    let _ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Vec<breezeway::Fd<OwnedFd>>>().unwrap();
    let file = some_file();
    let open = FdLedger::open().unwrap();
    let (mut refused, mut received) = (0, 0);
    for round in 0..5_000 {
        let packets: Vec<_> = (0..random(4)).map(|_| ([1, 1, 1, 1, 1, 1, 0, 2][random(8)], random(4))).collect();
        let (announced, is_closed) = (1 + random(6), random(8) > 0);
        let contents: Vec<(&[u8], usize)> = packets.iter().map(|(bytes, count)| (&[0; 2][..*bytes], *count)).collect();
        let (listener, connection) = raw::nested(&contents, file.as_fd());
        let kept = (!is_closed).then_some(connection);
        let indices = (0..announced as u32).flat_map(u32::to_le_bytes);
        let body: Vec<u8> = (announced as u64).to_le_bytes().into_iter().chain(indices).collect();
        let mut bytes = packet(&body, &[], announced as u16);
        bytes[2] = 2;
        peer.send(&bytes, &[listener.as_fd()]).unwrap();
        match (receiver.try_recv(), nested_error(&packets, is_closed, announced)) {
            (Ok(files), None) => {
                assert_eq!(files.len(), announced);
                received += 1;
            }
            (Err(TryRecvError::Fault(Fault::Protocol(error))), Some(expected)) => {
                assert_eq!(error, expected, "{packets:?}, {announced} announced");
                refused += 1;
            }
            (result, expected) => panic!("round {round}, {packets:?}: {:?} instead of {expected:?}", result.map(drop)),
        }
        drop((kept, listener));
        if round % 100 == 0 {
            open.check().unwrap();
        }
    }
    open.check().unwrap();
    assert!(refused > 0 && received > 0, "{refused} refused, {received} received");
}

/// A number that differs from run to run, and is not 0.
fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) | 1
}

/// The ledger notices a descriptor left open, and the comparison of the changed packets a byte that was not sent.
fn the_controls_notice() {
    let ledger = FdLedger::open().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<Probe>().unwrap();
    let open = FdLedger::open().unwrap();
    let (good, descriptors) = encoded(Probe::Files(some_file(), 7, vec![]));
    assert!(open.check().is_err(), "a descriptor more");
    peer.send(&good, &borrowed(&descriptors)).unwrap();
    drop(descriptors);
    open.check().unwrap();
    let received = receiver.try_recv().unwrap();
    assert!(open.check().is_err(), "a descriptor arrived");
    let Probe::Files(file, _, more) = received else { panic!("another variant") };
    assert_ne!(encoded(Probe::Files(file, 8, more)).0, good, "another number, other bytes");
    open.check().unwrap();
    drop((peer, receiver));
    std::mem::forget(open);
    ledger.check().unwrap();
}
