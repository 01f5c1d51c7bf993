//! Well-formed packets with arbitrary bodies, up to three descriptors and blobs: each is refused, or is a message that is sent as a
//! packet which is received as the same message again. No descriptor is lost either way.
//!
//! The first byte of the input is how many descriptors travel with the packet, the second how many blobs there are; the third is
//! where the body ends, in 256ths of the rest, and the blobs share what is behind it.

#![no_main]

use breezeway::testing::{RawPeer, packet};
use breezeway::{Blob, Bytes, Fault, Message, Receiver, Sender, TryRecvError};
use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI128, NonZeroU8};
use std::ops::{Range, RangeInclusive};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

#[derive(Message)]
enum Shape {
    Unit,
    Numbers(u8, i16, u32, i64, u128, f32, f64, bool, usize, NonZeroU8, NonZeroI128),
    Text { text: String, letter: char, boxed: Box<str>, c: CString, os: OsString, path: PathBuf },
    Bytes(Vec<u8>, [u8; 5], Box<[u8]>, Bytes),
    Blobs(Vec<Bytes>, Option<Blob>),
    Descriptors(File, Option<OwnedFd>, Vec<File>),
    Ends(Option<Sender<u8>>, Option<Receiver<Shape>>),
    Nested(Box<Shape>, Vec<Shape>, Option<Box<Shape>>, Result<Box<Shape>, String>),
    Maps(BTreeMap<u8, Shape>, HashMap<u8, Shape>, BTreeSet<Vec<u8>>),
    Lists(VecDeque<u16>, LinkedList<Nothing>, BinaryHeap<Option<u8>>, Vec<()>, [Option<u16>; 3]),
    Times(Duration, SystemTime, Range<u8>, RangeInclusive<Option<u8>>),
    Addresses(IpAddr, SocketAddr),
    Generic(Pair<Nothing, File>, Pair<Vec<u8>, Bytes>),
}

#[derive(Message, PartialEq, Eq, PartialOrd, Ord)]
struct Nothing {
    #[serde(skip)]
    number: u64,
}

#[derive(Message)]
struct Pair<A, B>(A, Vec<B>);

struct Ends {
    peer: RawPeer,
    receiver: Receiver<Shape>,
    sender: Sender<Shape>,
    raw: RawPeer,
    file: File,
}

thread_local! {
    static ENDS: Ends = {
        let (peer, receiver) = RawPeer::of_receiver().unwrap();
        let (raw, sender) = RawPeer::of_sender().unwrap();
        Ends { peer, receiver, sender, raw, file: File::open("/dev/null").unwrap() }
    };
}

fuzz_target!(|input: &[u8]| {
    let [descriptors, blobs, share, rest @ ..] = input else { return };
    let (descriptors, blobs) = (usize::from(descriptors % 4), usize::from(blobs % 4));
    let (body, rest) = if blobs == 0 { (rest, [].as_slice()) } else { rest.split_at(rest.len() * usize::from(*share) / 256) };
    let blobs: Vec<&[u8]> = (0..blobs).map(|index| &rest[rest.len() * index / blobs..rest.len() * (index + 1) / blobs]).collect();
    ENDS.with(|ends| {
        let given = [ends.file.as_fd(), ends.sender.as_fd(), ends.file.as_fd()];
        ends.peer.send(&packet(body, &blobs, descriptors as u16), &given[..descriptors]).unwrap();
        if let Some(message) = received(ends) {
            let hashed = has_order_of_its_own(&message);
            let first = encoded(ends, message);
            // Small blobs have become part of the body, and descriptors and blobs are in order: now the bytes are the message's own.
            ends.peer.send(&first.0, &first.1.iter().map(AsFd::as_fd).collect::<Vec<_>>()).unwrap();
            let again = encoded(ends, received(ends).expect("what was sent is received"));
            assert!(hashed || again.0 == first.0, "another encoding");
            // In order from the start, it was so in the input too.
            if blobs.is_empty() && descriptors < 2 && !hashed {
                assert_eq!(&first.0[16..], body);
            }
        }
        let next = ends.file.try_clone().unwrap();
        assert!(std::os::fd::AsRawFd::as_raw_fd(&next) < 64, "descriptors are lost");
    });
});

fn received(ends: &Ends) -> Option<Shape> {
    match ends.receiver.try_recv() {
        Ok(message) => Some(message),
        Err(TryRecvError::Fault(Fault::Decode(_))) => None,
        Err(error) => panic!("{error:?}"),
    }
}

fn encoded(ends: &Ends, message: Shape) -> (Vec<u8>, Vec<OwnedFd>) {
    ends.sender.send(message).unwrap();
    let packet = ends.raw.receive().unwrap().unwrap();
    (packet.bytes, packet.descriptors)
}

/// Whether the message holds a collection whose order is its own affair.
fn has_order_of_its_own(message: &Shape) -> bool {
    match message {
        Shape::Nested(first, more, maybe, result) => {
            let rest = maybe.iter().chain(result).map(|inner| &**inner);
            std::iter::once(&**first).chain(more).chain(rest).any(has_order_of_its_own)
        }
        Shape::Maps(sorted, hashed, _) => hashed.len() > 1 || sorted.values().chain(hashed.values()).any(has_order_of_its_own),
        Shape::Lists(_, _, heap, ..) => heap.len() > 1,
        _ => false,
    }
}
