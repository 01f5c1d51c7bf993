//! How a channel ends: one test for each cell of the table in docs/ends.md.
//!
//! The name of a test is the row and the column. Every test counts its descriptors, and the last one checks the table itself.

mod support;

use breezeway::process::ForkedProcess;
use breezeway::testing::FdLedger;
use breezeway::{Channel, Message, Receiver, SendError, Sender, TryRecvError, channel};
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::fmt::Debug;
use std::os::fd::AsFd;
use std::rc::Rc;

trials!(
    pair_last_sender,
    pair_one_of_two,
    pair_receiver,
    channel_last_sender,
    channel_one_of_two,
    channel_receiver,
    split_last_sender,
    split_one_of_two,
    split_receiver,
    clone_last_sender,
    clone_one_of_two,
    clone_receiver,
    sent_last_sender,
    sent_one_of_two,
    sent_receiver,
    forked_last_sender,
    forked_one_of_two,
    forked_receiver,
    two_forked_last_sender,
    two_forked_one_of_two,
    two_forked_receiver,
    killed_last_sender,
    killed_one_of_two,
    killed_receiver,
    unread_last_sender,
    unread_one_of_two,
    unread_receiver,
    close_ends_for_every_copy,
    a_half_dropped_in_a_fork_ends_nothing,
    every_cell_has_its_row,
);

type Pair = (Channel<u32>, Channel<u32>);

fn pair() -> Pair {
    Channel::pair().unwrap()
}

/// A second owner of the same socket, as another process or another part of the program may be.
fn copy<E: AsFd + TryFrom<std::os::fd::OwnedFd>>(end: &E) -> E
where
    E::Error: Debug,
{
    E::try_from(end.as_fd().try_clone_to_owned().unwrap()).unwrap()
}

/// What both kinds of receiving ends can do here.
trait Receives<T> {
    fn receive(&self) -> Result<T, breezeway::RecvError>;
    fn look(&self) -> Result<T, TryRecvError>;
}

impl<T: DeserializeOwned> Receives<T> for Receiver<T> {
    fn receive(&self) -> Result<T, breezeway::RecvError> {
        self.recv()
    }
    fn look(&self) -> Result<T, TryRecvError> {
        self.try_recv()
    }
}

impl<S, R: DeserializeOwned> Receives<R> for Channel<S, R> {
    fn receive(&self) -> Result<R, breezeway::RecvError> {
        self.recv()
    }
    fn look(&self) -> Result<R, TryRecvError> {
        self.try_recv()
    }
}

/// First what was sent, then the end, and the end again.
#[track_caller]
fn gets_then_end(end: &impl Receives<u32>, messages: &[u32]) {
    gets(end, messages);
    assert!(end.receive().unwrap_err().is_closed());
    assert!(end.look().unwrap_err().is_closed());
}

#[track_caller]
fn gets(end: &impl Receives<u32>, messages: &[u32]) {
    for message in messages {
        assert_eq!(end.receive().unwrap(), *message);
    }
}

/// Nothing there, and not the end.
#[track_caller]
fn open(end: &impl Receives<u32>) {
    assert!(end.look().unwrap_err().is_empty());
}

#[track_caller]
fn cannot_send(result: Result<(), SendError<u32>>) {
    let error = result.unwrap_err();
    assert!(error.is_closed(), "{error:?}");
    assert_eq!(error.into_message(), 0);
}

fn pair_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    theirs.send(1).unwrap();
    theirs.send(2).unwrap();
    assert!(!ours.is_closed());
    drop(theirs);
    assert!(ours.is_closed());
    cannot_send(ours.send(0));
    gets_then_end(&ours, &[1, 2]);
}

fn pair_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    let second = copy(&theirs);
    theirs.send(1).unwrap();
    drop(theirs);
    gets(&ours, &[1]);
    open(&ours);
    ours.send(3).unwrap();
    gets(&second, &[3]);
    second.send(2).unwrap();
    drop(second);
    gets_then_end(&ours, &[2]);
}

/// An end of a pair is sender and receiver in one: as above, seen from the side that sends.
fn pair_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    drop(theirs);
    cannot_send(ours.send(0));
    assert!(ours.try_send(0).unwrap_err().is_closed());
    assert!(ours.send_timeout(0, std::time::Duration::MAX).unwrap_err().is_closed());
    gets_then_end(&ours, &[]);
}

fn channel_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert!(!receiver.is_closed());
    drop(sender);
    assert!(receiver.is_closed());
    gets_then_end(&receiver, &[1, 2]);
}

fn channel_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let second = copy(&sender);
    sender.send(1).unwrap();
    drop(sender);
    gets(&receiver, &[1]);
    open(&receiver);
    second.send(2).unwrap();
    gets(&receiver, &[2]);
}

fn channel_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    sender.send(1).unwrap();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    cannot_send(sender.send(0));
    cannot_send(sender.send(0));
}

fn split_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    let (sender, receiver) = theirs.split();
    sender.send(1).unwrap();
    drop(sender);
    gets_then_end(&ours, &[1]);
    assert!(!ours.is_closed(), "the other direction goes on");
    ours.send(2).unwrap();
    gets(&receiver, &[2]);
}

fn split_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    let (sender, _receiver) = theirs.split();
    let second = sender.clone();
    drop(sender);
    open(&ours);
    second.send(2).unwrap();
    gets(&ours, &[2]);
}

fn split_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    let (sender, receiver) = theirs.split();
    drop(receiver);
    assert!(ours.is_closed());
    cannot_send(ours.send(0));
    sender.send(1).unwrap();
    gets(&ours, &[1]);
    open(&ours);
    drop(sender);
    gets_then_end(&ours, &[]);
}

fn clone_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let second = sender.clone();
    sender.send(1).unwrap();
    drop(sender);
    second.send(2).unwrap();
    drop(second);
    gets_then_end(&receiver, &[1, 2]);
}

fn clone_one_of_two() {
    let ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let with_one = FdLedger::open().unwrap();
    let second = sender.clone();
    with_one.check().expect("a clone costs no descriptor");
    drop(sender);
    open(&receiver);
    second.send(2).unwrap();
    gets(&receiver, &[2]);
    drop(with_one);
    drop((second, receiver));
    drop(ledger);
}

fn clone_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let second = sender.clone();
    drop(receiver);
    cannot_send(sender.send(0));
    cannot_send(second.send(0));
}

#[derive(Message)]
enum Ends {
    Sender(Sender<u32>),
    Receiver(Receiver<u32>),
}

fn sent_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (carrier, arrivals) = channel().unwrap();
    let (sender, receiver) = channel().unwrap();
    carrier.send(Ends::Sender(sender)).unwrap();
    open(&receiver);
    let Ends::Sender(sender) = arrivals.recv().unwrap() else { panic!("a sender was sent") };
    sender.send(1).unwrap();
    drop(sender);
    gets_then_end(&receiver, &[1]);
}

/// A sender under way is a sender: the channel ends when nobody can take it out any more.
fn sent_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (carrier, arrivals) = channel().unwrap();
    let (sender, receiver) = channel().unwrap();
    carrier.send(Ends::Sender(sender.clone())).unwrap();
    sender.send(1).unwrap();
    drop(sender);
    gets(&receiver, &[1]);
    open(&receiver);
    drop(arrivals);
    gets_then_end(&receiver, &[]);
}

fn sent_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (carrier, arrivals) = channel().unwrap();
    let (sender, receiver) = channel().unwrap();
    carrier.send(Ends::Receiver(receiver)).unwrap();
    sender.send(1).unwrap();
    let Ends::Receiver(receiver) = arrivals.recv().unwrap() else { panic!("a receiver was sent") };
    gets(&receiver, &[1]);
    drop(receiver);
    cannot_send(sender.send(0));
}

fn forked_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let child = ForkedProcess::spawn(move |_: Channel<()>| {
        sender.send(1).unwrap();
        sender.send(2).unwrap();
    })
    .unwrap();
    gets_then_end(&receiver, &[1, 2]);
    assert!(child.wait().unwrap().success());
}

fn forked_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let theirs = sender.clone();
    let child = ForkedProcess::spawn(move |_: Channel<()>| theirs.send(1).unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    gets(&receiver, &[1]);
    open(&receiver);
    sender.send(2).unwrap();
    drop(sender);
    gets_then_end(&receiver, &[2]);
}

fn forked_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let child = ForkedProcess::spawn(move |_: Channel<()>| gets(&receiver, &[1])).unwrap();
    sender.send(1).unwrap();
    assert!(child.wait().unwrap().success());
    cannot_send(sender.send(0));
}

fn two_forked_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let second = sender.clone();
    let first = ForkedProcess::spawn(move |_: Channel<()>| sender.send(1).unwrap()).unwrap();
    assert!(first.wait().unwrap().success());
    let last = ForkedProcess::spawn(move |_: Channel<()>| second.send(2).unwrap()).unwrap();
    gets_then_end(&receiver, &[1, 2]);
    assert!(last.wait().unwrap().success());
}

fn two_forked_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let second = sender.clone();
    let child = |sender: Sender<u32>, message| {
        ForkedProcess::spawn(move |channel: Channel<u32, ()>| {
            sender.send(message).unwrap();
            assert!(channel.recv().unwrap_err().is_closed());
        })
        .unwrap()
    };
    let first = child(sender, 1);
    gets(&receiver, &[1]);
    let last = child(second, 2);
    gets(&receiver, &[2]);
    assert!(first.wait().unwrap().success());
    open(&receiver);
    assert!(last.wait().unwrap().success());
    gets_then_end(&receiver, &[]);
}

/// The second child was forked while the parent's end to the first was open, and still the first learns that it closed.
fn two_forked_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let child = || {
        ForkedProcess::spawn(|channel: Channel<u32>| {
            for message in &channel {
                channel.send(message.unwrap()).unwrap();
            }
        })
        .unwrap()
    };
    let (first, second) = (child(), child());
    for child in [&first, &second] {
        child.send(7).unwrap();
        gets(&**child, &[7]);
    }
    let (channel, mut process) = first.into_parts();
    drop(channel);
    assert!(process.wait().unwrap().success());
    second.send(8).unwrap();
    gets(&*second, &[8]);
    assert!(second.wait().unwrap().success());
}

/// A child that sends and then waits to be killed.
fn sends_and_waits(sender: Sender<u32>) -> ForkedProcess<(), ()> {
    let child = ForkedProcess::spawn(move |channel: Channel<()>| {
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        channel.send(()).unwrap();
        let _ = channel.recv();
    })
    .unwrap();
    child.recv().unwrap();
    child
}

fn killed_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let mut child = sends_and_waits(sender);
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    gets_then_end(&receiver, &[1, 2]);
}

fn killed_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel().unwrap();
    let mut child = sends_and_waits(sender.clone());
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    gets(&receiver, &[1, 2]);
    open(&receiver);
    sender.send(3).unwrap();
    gets(&receiver, &[3]);
}

fn killed_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let mut child = ForkedProcess::spawn(move |channel: Channel<()>| {
        let _receiver = receiver;
        channel.send(()).unwrap();
        let _ = channel.recv();
    })
    .unwrap();
    child.recv().unwrap();
    sender.send(1).unwrap();
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    cannot_send(sender.send(0));
}

/// The kernel reports that our message was lost ahead of what the peer had sent; we do not.
fn unread_last_sender() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    ours.send(9).unwrap();
    theirs.send(1).unwrap();
    theirs.send(2).unwrap();
    drop(theirs);
    gets_then_end(&ours, &[1, 2]);
    cannot_send(ours.send(0));
}

fn unread_one_of_two() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    let second = copy(&theirs);
    ours.send(9).unwrap();
    theirs.send(1).unwrap();
    drop(theirs);
    gets(&ours, &[1]);
    open(&ours);
    gets(&second, &[9]);
}

fn unread_receiver() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    ours.send(9).unwrap();
    theirs.send(1).unwrap();
    drop(theirs);
    // The first of these takes the reset that the kernel reports once; receiving is not disturbed by it.
    cannot_send(ours.send(0));
    cannot_send(ours.send(0));
    gets_then_end(&ours, &[1]);
}

fn close_ends_for_every_copy() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let (clone, copy) = (sender.clone(), copy(&sender));
    sender.send(1).unwrap();
    sender.close();
    cannot_send(clone.send(0));
    cannot_send(copy.send(0));
    gets_then_end(&receiver, &[1]);
}

fn a_half_dropped_in_a_fork_ends_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let (ours, theirs) = pair();
    let halves = Rc::new(Cell::new(Some(theirs.split())));
    let inherited = Rc::clone(&halves);
    let child = ForkedProcess::spawn(move |_: Channel<()>| drop(inherited.take().expect("a copy of both halves"))).unwrap();
    assert!(child.wait().unwrap().success());
    let (_sender, receiver) = halves.take().expect("the child took its own copy");
    open(&ours);
    ours.send(1).unwrap();
    gets(&receiver, &[1]);
}

fn every_cell_has_its_row() {
    let table = include_str!("../docs/ends.md");
    let rows = ["pair", "channel", "split", "clone", "sent", "forked", "two_forked", "killed", "unread"];
    for row in rows {
        let line = table.lines().find(|line| line.starts_with(&format!("| `{row}` |"))).unwrap_or_else(|| panic!("no row {row}"));
        assert_eq!(line.matches(" | ").count(), 3, "three cells in {line}");
        for column in ["last_sender", "one_of_two", "receiver"] {
            assert!(include_str!("ends.rs").contains(&format!("fn {row}_{column}()")), "no test for {row} × {column}");
        }
    }
}
