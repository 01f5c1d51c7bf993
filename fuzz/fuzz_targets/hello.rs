//! Packets to an end that expects a hello: it meets its peer or does not, and says the same about it however it is asked. Schemas in the right
//! packet are compared with the end's own: a difference is found exactly where the fingerprints differ.
//!
//! The input is packets, each a byte for its kind and its frame, two for its length, and what follows. Where the first byte is even, the
//! bytes are a body that is framed as a packet of that kind; where it is odd, they are the packet.

#![no_main]

use breezeway::__private::bench;
use breezeway::schema::{Tree, first_difference};
use breezeway::testing::{RawPeer, packet};
use breezeway::{Fault, Hello, HelloError, Message, RecvTimeoutError, SendFault, TryRecvError};
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

#[derive(Message)]
enum Sent {
    #[allow(dead_code)]
    List {
        next: Option<Box<Sent>>,
        words: Vec<String>,
    },
    Stop,
}

#[derive(Message)]
struct Received(#[allow(dead_code)] u32);

fuzz_target!(|input: &[u8]| {
    let (peer, end) = RawPeer::of_program::<Sent, Received>(Hello::new().timeout(Duration::from_secs(60))).unwrap();
    assert!(peer.receive().unwrap().is_some(), "the end's own hello");
    let mut rest = input;
    while let [form, low, high, more @ ..] = rest {
        let (bytes, others) = more.split_at(more.len().min(u16::from_le_bytes([*low, *high]).into()));
        rest = others;
        let whole = if form % 2 == 0 {
            let mut whole = packet(bytes, &[], 0);
            whole[1] = form / 2 % 4;
            whole
        } else {
            bytes.to_vec()
        };
        // The end may have shut its side down, or the queue be full.
        if peer.socket().send_packet(&[std::io::IoSlice::new(&whole)], &[]).is_err() {
            break;
        }
        if form / 2 % 4 == 3 {
            compare(bytes);
        }
        step(&end);
    }
    drop(peer);
    // A look takes a few packets at a time, of which the input has made no more than a few thousand.
    let ended = (0..100_000).any(|_| {
        step(&end);
        matches!(end.try_recv(), Err(TryRecvError::Closed))
    });
    assert!(ended);
});

/// One look.
fn step(end: &breezeway::Channel<Sent, Received>) {
    match end.try_recv() {
        Ok(_) | Err(TryRecvError::Empty | TryRecvError::Closed) => {}
        Err(TryRecvError::Fault(Fault::Hello(error))) => {
            let again = |other: &HelloError| assert_eq!(format!("{other:?}"), format!("{error:?}"));
            match end.wait_ready(Duration::ZERO) {
                Err(RecvTimeoutError::Fault(Fault::Hello(other))) => again(&other),
                other => panic!("{other:?}"),
            }
            match end.send(Sent::Stop).unwrap_err().fault() {
                Some(SendFault::Hello(other)) => again(other),
                other => panic!("{other:?}"),
            }
        }
        Err(TryRecvError::Fault(Fault::Protocol(_) | Fault::Decode(_))) => {}
        Err(error) => panic!("{error:?}"),
    }
}

fn compare(body: &[u8]) {
    if let Ok(theirs) = bench::decode::<Tree>(body) {
        let ours = Sent::schema().tree();
        let differ = ours.fingerprint() != theirs.fingerprint();
        for difference in [first_difference(&ours, &theirs), first_difference(&theirs, &ours)] {
            assert_eq!(difference.is_some(), differ);
            assert!(difference.is_none_or(|difference| difference.to_string().len() < 4096));
        }
    }
}
