//! What a set of receivers promises: every message of every member, each end once, and turns.

#[path = "support/calls.rs"]
mod calls;
mod support;

use breezeway::process::ForkedProcess;
use breezeway::select::{ReceiverSet, SetError, Token};
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{Channel, Limits, Receiver, RecvError, Sender, channel};
use calls::{EPOLL_WAIT, mark, record};
use libc::{SYS_getpid, SYS_recvmsg};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

trials!(
    every_message_of_every_member_comes_in_order_and_each_end_once,
    members_take_turns,
    more_members_than_one_wait_can_tell_all_get_their_turns,
    a_member_that_becomes_ready_during_a_flood_gets_a_turn,
    a_fault_leaves_its_receiver_in_the_set,
    an_empty_set_and_a_time_that_is_over_are_told_apart,
    what_was_not_delivered_is_not_lost,
    what_cannot_be_added_is_given_back,
    a_set_in_a_fork_is_refused_and_gives_its_receivers_back,
    a_flood_costs_little_more_than_one_call_a_message,
    every_descriptor_is_given_back,
);

fn set<const N: usize>() -> (ReceiverSet<u32>, [(Token, Sender<u32>); N]) {
    let mut set = ReceiverSet::new().unwrap();
    let senders = [(); N].map(|()| {
        let (sender, receiver) = channel().unwrap();
        (set.add(receiver).unwrap(), sender)
    });
    (set, senders)
}

/// What comes next, which is a message.
#[track_caller]
fn message(set: &mut ReceiverSet<u32>) -> (Token, u32) {
    let (token, received) = set.recv().unwrap();
    (token, received.unwrap())
}

fn every_message_of_every_member_comes_in_order_and_each_end_once() {
    let _ledger = FdLedger::open().unwrap();
    let mut set = ReceiverSet::new().unwrap();
    let children = [1, 10, 100, 1000].map(|count| {
        let (sender, receiver) = channel::<u32>().unwrap();
        let child = ForkedProcess::spawn(move |_: Channel<()>| (0..count).try_for_each(|number| sender.send(number))).unwrap();
        (set.add(receiver).unwrap(), count, child)
    });
    assert_eq!(set.len(), 4);
    let mut came: BTreeMap<Token, u32> = BTreeMap::new();
    let mut ended = Vec::new();
    let end = loop {
        match set.recv() {
            Ok((token, Ok(number))) => {
                let expected = came.entry(token).or_default();
                assert_eq!(number, *expected);
                *expected += 1;
            }
            Ok((token, Err(error))) => {
                assert!(error.is_closed());
                ended.push(token);
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(end, SetError::Empty) && set.is_empty());
    for (token, count, child) in children {
        assert_eq!((came[&token], ended.iter().filter(|&&ended| ended == token).count()), (count, 1));
        assert!(child.wait().unwrap().success());
    }
}

fn members_take_turns() {
    let (mut set, [a, b, c]) = set();
    for number in 0..10 {
        [&a, &b, &c].iter().for_each(|(_, sender)| sender.send(number).unwrap());
    }
    for number in 0..10 {
        let mut round = [(); 3].map(|()| message(&mut set));
        round.sort();
        assert_eq!(round, [a.0, b.0, c.0].map(|token| (token, number)));
    }
    assert!(set.try_recv().unwrap().is_none());
}

fn more_members_than_one_wait_can_tell_all_get_their_turns() {
    let (mut set, senders) = set::<200>();
    for number in 0..5 {
        senders.iter().for_each(|(_, sender)| sender.send(number).unwrap());
    }
    let mut counts = BTreeMap::<Token, u32>::new();
    for _ in 0..1000 {
        let (token, number) = message(&mut set);
        let count = counts.entry(token).or_default();
        assert_eq!(number, *count);
        *count += 1;
    }
    assert!(set.try_recv().unwrap().is_none());
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [5; 200]);
}

fn a_member_that_becomes_ready_during_a_flood_gets_a_turn() {
    let (mut set, [(flood, flooding), (quiet, sender)]) = set();
    let mut sent = 0;
    let mut fill = || {
        while flooding.try_send(sent).is_ok() {
            sent += 1
        }
    };
    fill();
    for number in 0..10 {
        assert_eq!(message(&mut set).0, flood);
        sender.send(number).unwrap();
        let turns = (1..).find(|_| {
            fill();
            message(&mut set) == (quiet, number)
        });
        assert!(turns.unwrap() <= 66, "{turns:?}");
    }
}

fn a_fault_leaves_its_receiver_in_the_set() {
    let mut set = ReceiverSet::new().unwrap();
    let (peer, receiver) = RawPeer::of_receiver::<u32>().unwrap();
    let token = set.add(receiver).unwrap();
    peer.send(b"no packet of ours", &[]).unwrap();
    peer.send(&packet(&7_u32.to_le_bytes(), &[], 0), &[]).unwrap();
    assert!(matches!(set.recv().unwrap(), (from, Err(RecvError::Fault(_))) if from == token));
    assert_eq!(message(&mut set), (token, 7));
    drop(peer);
    assert!(matches!(set.recv().unwrap(), (from, Err(RecvError::Closed)) if from == token));
}

fn an_empty_set_and_a_time_that_is_over_are_told_apart() {
    let (mut set, [(token, sender)]) = set();
    assert!(set.try_recv().unwrap().is_none());
    let deadline = Instant::now() + Duration::from_millis(2);
    assert!(set.recv_deadline(deadline).unwrap().is_none() && Instant::now() >= deadline);
    assert!(set.recv_timeout(Duration::ZERO).unwrap().is_none());
    sender.send(1).unwrap();
    let past = Instant::now();
    assert!(matches!(set.recv_deadline(past).unwrap(), Some((from, Ok(1))) if from == token), "one attempt is made in any case");
    drop(sender);
    assert!(matches!(set.recv_timeout(Duration::MAX).unwrap(), Some((_, Err(RecvError::Closed)))));
    let empty: [Result<(), SetError>; 4] =
        [set.recv().map(drop), set.try_recv().map(drop), set.recv_timeout(Duration::MAX).map(drop), set.recv_deadline(past).map(drop)];
    for error in empty.map(Result::unwrap_err) {
        assert_eq!(error.to_string(), "the set has no receivers");
        assert_eq!(io::Error::from(error).kind(), ErrorKind::UnexpectedEof);
    }
}

fn what_was_not_delivered_is_not_lost() {
    let (mut set, [(first, to_first), (second, to_second)]) = set();
    (0..10).for_each(|number| [&to_first, &to_second].iter().for_each(|sender| sender.send(number).unwrap()));
    let (one, two) = (message(&mut set), message(&mut set));
    assert_eq!([one.1, two.1], [0, 0]);
    // Out of the set, with all that it has not yielded, and in again.
    let receiver = set.remove(first).unwrap();
    assert!(set.remove(first).is_none());
    assert_eq!(receiver.recv().unwrap(), 1);
    let again = set.add(receiver).unwrap();
    assert_ne!(again, first);
    let mut rest = Vec::new();
    while let Some((token, received)) = set.try_recv().unwrap() {
        rest.push((token, received.unwrap()));
    }
    rest.sort();
    let mut expected: Vec<_> = (1..10).map(|number| (second, number)).chain((2..10).map(|number| (again, number))).collect();
    expected.sort();
    assert_eq!(rest, expected);
    assert_eq!(set.len(), 2);
}

fn what_cannot_be_added_is_given_back() {
    let mut set = ReceiverSet::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    support::forbid(libc::SYS_epoll_ctl, libc::ENOSPC);
    let error = set.add(receiver).unwrap_err();
    assert_eq!((error.source.call, error.source.source.raw_os_error()), ("epoll_ctl", Some(libc::ENOSPC)));
    assert!(format!("{error:?}").starts_with("AddError { receiver: Receiver { fd: "));
    sender.send(1).unwrap();
    assert_eq!(error.receiver.recv().unwrap(), 1);
    assert!(set.is_empty());
}

fn a_set_in_a_fork_is_refused_and_gives_its_receivers_back() {
    let (mut set, [(token, sender)]) = set();
    let child = ForkedProcess::spawn(move |parent: Channel<u32, ()>| {
        let Err(SetError::System(error)) = set.recv() else { panic!("the parent's set") };
        assert_eq!(error.source.kind(), ErrorKind::Unsupported);
        let receiver: Receiver<u32> = set.remove(token).unwrap();
        let mut set = ReceiverSet::new().unwrap();
        set.add(receiver.with_limits(Limits::new())).unwrap();
        parent.send(message(&mut set).1).unwrap();
    })
    .unwrap();
    sender.send(7).unwrap();
    assert_eq!(child.recv().unwrap(), 7);
    assert!(child.wait().unwrap().success());
}

fn a_flood_costs_little_more_than_one_call_a_message() {
    const COUNTED: usize = 640;
    let flood = || {
        let (mut set, [(_, sender)]) = set();
        (0..=COUNTED as u32 + 1).for_each(|number| sender.send(number).unwrap());
        message(&mut set);
        mark();
        assert!((1..=COUNTED as u32).all(|number| message(&mut set).1 == number));
        mark();
    };
    let [calls] = record([&flood], |_, _| {});
    let count = |number| calls.iter().filter(|call| call.number == number).count();
    // The others are looked at once in 64 messages.
    assert_eq!((count(SYS_recvmsg), count(EPOLL_WAIT), count(SYS_getpid)), (COUNTED, COUNTED / 64, COUNTED / 64));
    assert_eq!(calls.len(), COUNTED + 2 * COUNTED / 64);
}

fn every_descriptor_is_given_back() {
    let ledger = FdLedger::open().unwrap();
    let (mut set, [(first, _kept), (_, closed), (_, open)]) = set();
    drop(closed);
    assert!(set.recv().unwrap().1.unwrap_err().is_closed());
    drop(set.remove(first));
    open.send(1).unwrap();
    drop(set);
    assert!(open.send(2).unwrap_err().is_closed(), "a set that is dropped drops its receivers");
    drop((_kept, open));
    ledger.check().unwrap();
}
