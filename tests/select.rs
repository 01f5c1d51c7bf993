//! What a select promises: who is reported, when, how often, and for how long.

#[path = "support/calls.rs"]
mod calls;
mod support;

use breezeway::process::{CommandExt, ForkedProcess, Outcome, inherited};
use breezeway::select::{Interest, Ready, Select, Token, Waker};
use breezeway::testing::FdLedger;
use breezeway::{Channel, Message, Receiver, TryRecvError, channel};
use calls::{EPOLL_WAIT, mark, record};
use libc::{SYS_getpid, SYS_ppoll, SYS_recvmsg, SYS_rt_sigreturn, SYS_sendmsg, SYS_write};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::Observed;

trials!(
    members_of_different_types_are_waited_for_together,
    what_is_not_drained_is_reported_again,
    a_closed_end_is_reported_until_its_user_knows_and_never_after,
    everything_sent_comes_before_the_end,
    a_dead_child_is_reported_although_a_grandchild_holds_its_end,
    a_child_is_one_member,
    a_child_that_is_refused_leaves_nothing_behind,
    an_end_leaves_when_it_is_dropped,
    an_end_leaves_when_it_becomes_a_descriptor,
    an_end_leaves_when_it_has_travelled_in_a_message,
    a_split_channels_receiver_is_the_member_and_its_sender_is_not,
    a_member_can_be_used_as_if_it_were_none,
    an_end_can_be_in_two_selects,
    an_end_is_a_member_once,
    a_member_can_leave_and_come_back_under_another_token,
    what_more_than_one_wait_can_tell_comes_in_turns,
    a_flood_keeps_nobody_waiting,
    plain_descriptors_are_members,
    a_plain_descriptor_is_kept_until_it_is_removed,
    what_cannot_be_polled_is_refused,
    a_deadline_is_reported_once_and_not_early,
    deadlines_come_in_their_order,
    more_deadlines_than_one_wait_can_tell_all_come,
    a_removed_deadline_does_not_come,
    a_deadline_beyond_the_clock_is_for_ever,
    a_wait_ends_when_its_time_is_over,
    trying_does_not_wait,
    waiting_for_nothing_ends_with_a_wake,
    a_wake_from_another_thread_ends_a_wait,
    a_wake_before_the_wait_is_remembered_once,
    a_wake_comes_with_what_is_ready,
    a_waker_outlives_its_select,
    a_signal_handler_can_wake,
    a_signal_ends_no_wait,
    what_another_thread_adds_counts_for_the_wait_under_way,
    what_another_thread_removes_is_not_waited_for,
    several_threads_share_one_select,
    a_reused_number_yields_nobody_elses_event,
    a_fork_is_refused_and_harms_nothing,
    a_fork_does_not_deregister_what_it_inherited,
    a_fork_waits_with_a_select_of_its_own,
    a_fork_of_the_unchecked_kind_finds_no_locked_list,
    a_select_nests_in_a_select_and_in_a_foreign_reactor,
    every_descriptor_is_given_back,
    a_select_that_goes_first_is_no_trouble_to_its_members,
    no_descriptor_lands_on_a_closed_standard_one,
    a_select_that_cannot_be_made_leaves_nothing,
    a_wait_costs_getpid_and_epoll_wait,
    waiting_with_a_limit_of_time_costs_a_ppoll_and_another_look;
    programs: leave_a_grandchild, hold_on
);

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(5)
}

/// Long enough to be taken for ever.
const FOREVER: Duration = Duration::from_secs(3600);

#[track_caller]
fn found(select: &Select) -> Vec<Token> {
    let mut tokens: Vec<_> = select.try_wait().unwrap().into_iter().collect();
    tokens.sort();
    tokens
}

#[track_caller]
fn is_empty<T: serde::de::DeserializeOwned + std::fmt::Debug>(receiver: &Receiver<T>) {
    let looked = receiver.try_recv();
    assert!(matches!(looked, Err(TryRecvError::Empty)), "{looked:?}");
}

#[derive(Debug, PartialEq, Message)]
struct Note(String);

fn members_of_different_types_are_waited_for_together() {
    let _ledger = FdLedger::open().unwrap();
    let (numbers, number) = channel::<u32>().unwrap();
    let (here, there) = Channel::<Note, u64>::pair().unwrap();
    let child = ForkedProcess::spawn(|parent: Channel<Note, bool>| {
        for question in &parent {
            parent.send(Note(question?.to_string()))?;
        }
        Ok::<(), std::io::Error>(())
    })
    .unwrap();
    let select = Select::new().unwrap();
    let tokens = [select.add(&number).unwrap(), select.add(&here).unwrap(), select.add(&child).unwrap()];
    let late = select.add_deadline(Instant::now() + FOREVER);
    assert_eq!(select.len(), 4);
    assert!(found(&select).is_empty());

    numbers.send(7).unwrap();
    assert_eq!(select.wait().unwrap().as_slice(), [tokens[0]]);
    there.send(8).unwrap();
    assert_eq!(found(&select), tokens[..2]);
    assert_eq!((number.try_recv().unwrap(), here.try_recv().unwrap()), (7, 8));
    child.send(true).unwrap();
    assert_eq!(select.wait().unwrap().as_slice(), [tokens[2]]);
    assert_eq!(child.try_recv().unwrap(), Note("true".into()));
    assert!(select.remove(late));
    assert_eq!(child.wait().unwrap(), Outcome::Exited(0));
    assert_eq!(select.len(), 2, "a child that was waited for has left");
}

fn what_is_not_drained_is_reported_again() {
    let (sender, receiver) = channel::<u32>().unwrap();
    let select = Select::new().unwrap();
    let token = select.add(&receiver).unwrap();
    (0..3).for_each(|number| sender.send(number).unwrap());
    for number in 0..3 {
        assert_eq!(found(&select), [token]);
        assert_eq!(found(&select), [token]);
        assert_eq!(receiver.try_recv().unwrap(), number);
    }
    assert!(found(&select).is_empty());
}

fn a_closed_end_is_reported_until_its_user_knows_and_never_after() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = select.add(&receiver).unwrap();
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(found(&select), [token]);
    assert_eq!(receiver.try_recv().unwrap(), 1);
    assert_eq!(found(&select), [token], "its user does not know yet");
    assert!(receiver.try_recv().unwrap_err().is_closed());
    assert!(found(&select).is_empty());
    assert_eq!((select.len(), select.remove(token)), (0, false));
    assert!(receiver.recv().unwrap_err().is_closed(), "it is told again and again all the same");

    // By whatever verb.
    let verbs: [fn(&Channel<u32>) -> bool; 4] = [
        |end| end.recv().unwrap_err().is_closed(),
        |end| end.recv_timeout(FOREVER).unwrap_err().is_closed(),
        |end| end.iter().next().is_none(),
        |end| end.try_iter().next().is_none(),
    ];
    for verb in verbs {
        let (near, far) = Channel::<u32>::pair().unwrap();
        let token = select.add(&near).unwrap();
        drop(far);
        assert!(near.send(1).unwrap_err().is_closed(), "which says nothing of what there is to receive");
        assert_eq!(found(&select), [token]);
        assert!(verb(&near));
        assert!(select.is_empty());
    }
}

fn everything_sent_comes_before_the_end() {
    let select = Select::new().unwrap();
    let child = ForkedProcess::spawn(|parent: Channel<u32>| {
        (0..1000).for_each(|number| parent.send(number).unwrap());
        support::raise(libc::SIGKILL);
    })
    .unwrap();
    let token = select.add(&child).unwrap();
    let mut expected = 0;
    loop {
        assert_eq!(select.wait().unwrap().as_slice(), [token]);
        match child.try_recv() {
            Ok(number) => assert_eq!((number, expected += 1).0, expected - 1),
            Err(TryRecvError::Empty) => {}
            Err(error) => break assert!(error.is_closed(), "{error:?}"),
        }
    }
    assert_eq!((expected, select.len()), (1000, 0));
    assert!(matches!(child.wait().unwrap(), Outcome::Signalled { signal: libc::SIGKILL, .. }));
}

/// Starts a program that holds this one's end, says a word, and ends.
fn leave_a_grandchild() {
    // Before the end is taken every program inherits it.
    let grandchild = support::program("hold_on").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    grandchild.stdout.unwrap().read_exact(&mut [0]).unwrap();
    inherited::<Note, ()>().unwrap().send(Note("last words".into())).unwrap();
    std::process::exit(0);
}

/// Until it is killed with the test.
fn hold_on() {
    print!(".");
    std::io::stdout().flush().unwrap();
    loop {
        thread::park();
    }
}

fn a_dead_child_is_reported_although_a_grandchild_holds_its_end() {
    let _ledger = FdLedger::open().unwrap();
    let child = support::program("leave_a_grandchild").spawn_with_channel::<(), Note>().unwrap();
    let select = Select::new().unwrap();
    let token = select.add(&child).unwrap();
    assert_eq!(select.wait().unwrap().as_slice(), [token]);
    assert_eq!(child.recv().unwrap(), Note("last words".into()));
    // The socket is still open, and says nothing.
    assert_eq!(select.wait().unwrap().as_slice(), [token]);
    assert!(child.try_recv().unwrap_err().is_closed());
    assert!(found(&select).is_empty() && select.is_empty());
    assert!(child.wait().unwrap().success());
}

fn a_child_is_one_member() {
    let select = Select::new().unwrap();
    let child = ForkedProcess::spawn(|parent: Channel<u8>| parent.send(1).unwrap()).unwrap();
    let token = select.add(&child).unwrap();
    assert_eq!(select.len(), 1);
    let (channel, mut process) = child.into_parts();
    assert!(process.wait().unwrap().success());
    // Both its socket and its pidfd are ready.
    assert_eq!(found(&select), [token]);
    assert!(select.remove(token));
    assert!(found(&select).is_empty());
    let token = select.add(&channel).unwrap();
    assert_eq!((channel.try_recv().unwrap(), found(&select)), (1, vec![token]));
}

fn a_child_that_is_refused_leaves_nothing_behind() {
    let select = Select::new().unwrap();
    let child = ForkedProcess::spawn(|parent: Channel<u8>| parent.send(1).unwrap()).unwrap();
    // Its socket is taken, and its pidfd is not: there are too many watched.
    support::forbid_argument(libc::SYS_epoll_ctl, 2, child.pidfd().unwrap().as_raw_fd() as u64, libc::ENOSPC);
    let error = select.add(&child).unwrap_err();
    assert_eq!((error.call, error.source.raw_os_error()), ("epoll_ctl", Some(libc::ENOSPC)));
    assert_eq!(child.recv().unwrap(), 1);
    assert!(child.recv().unwrap_err().is_closed());
    assert!(select.is_empty() && found(&select).is_empty());
}

fn an_end_leaves_when_it_is_dropped() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let (near, far) = Channel::<u32>::pair().unwrap();
    let tokens = [select.add(&receiver).unwrap(), select.add(&near).unwrap()];
    sender.send(1).unwrap();
    far.send(1).unwrap();
    drop((receiver, near));
    assert!(found(&select).is_empty() && select.is_empty());
    assert_eq!(tokens.map(|token| select.remove(token)), [false; 2]);
}

fn an_end_leaves_when_it_becomes_a_descriptor() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let (near, far) = Channel::<u32>::pair().unwrap();
    select.add(&receiver).unwrap();
    select.add(&near).unwrap();
    sender.send(1).unwrap();
    far.send(2).unwrap();
    let (first, second) = (OwnedFd::try_from(receiver).unwrap(), OwnedFd::try_from(near).unwrap());
    assert!(found(&select).is_empty() && select.is_empty());
    assert_eq!(Receiver::<u32>::try_from(first).unwrap().recv().unwrap(), 1);
    assert_eq!(Channel::<u32>::try_from(second).unwrap().recv().unwrap(), 2);
    // Half of a channel does not become one, and stays.
    let (_sender, half) = Channel::<u32>::pair().unwrap().0.split();
    let token = select.add(&half).unwrap();
    let half = OwnedFd::try_from(half).unwrap_err().into_end();
    assert_eq!((found(&select), select.len()), (vec![token], 1), "its peer was dropped");
    assert!(half.recv().unwrap_err().is_closed());
}

#[derive(Message)]
struct Carried(Receiver<u32>);

fn an_end_leaves_when_it_has_travelled_in_a_message() {
    let select = Select::new().unwrap();
    let (carrier, arrivals) = channel::<Carried>().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    sender.send(7).unwrap();
    let token = select.add(&receiver).unwrap();
    let strict = carrier.clone().with_limits(breezeway::Limits::new().max_descriptors(0));
    let Carried(receiver) = strict.send(Carried(receiver)).unwrap_err().into_message();
    assert_eq!(found(&select), [token], "it did not travel");
    carrier.send(Carried(receiver)).unwrap();
    assert!(found(&select).is_empty() && select.is_empty(), "also while it is under way");
    let Carried(receiver) = arrivals.recv().unwrap();
    assert!(found(&select).is_empty());
    let token = select.add(&receiver).unwrap();
    assert_eq!((found(&select), receiver.try_recv().unwrap()), (vec![token], 7));
}

fn a_split_channels_receiver_is_the_member_and_its_sender_is_not() {
    let select = Select::new().unwrap();
    let (near, far) = Channel::<u32>::pair().unwrap();
    let token = select.add(&near).unwrap();
    let (sender, receiver) = near.split();
    far.send(1).unwrap();
    assert_eq!((found(&select), receiver.try_recv().unwrap()), (vec![token], 1));
    // The receiver goes, and the socket stays open for the sender.
    far.send(2).unwrap();
    drop(receiver);
    assert!(found(&select).is_empty() && select.is_empty());
    sender.send(3).unwrap();
    assert_eq!(far.recv().unwrap(), 3);

    let (to_near, receiver) = far.split();
    let token = select.add(&receiver).unwrap();
    drop(to_near);
    assert_eq!((found(&select), select.len()), (vec![], 1), "it receives still");
    drop(sender);
    assert_eq!(found(&select), [token]);
    assert!(receiver.try_recv().unwrap_err().is_closed() && select.is_empty());
}

fn a_member_can_be_used_as_if_it_were_none() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    select.add(&receiver).unwrap();
    sender.send(1).unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(receiver.recv_timeout(Duration::ZERO).unwrap_err().is_timeout());
    assert!(found(&select).is_empty());
    let receiver = receiver.with_limits(breezeway::Limits::new());
    assert_eq!(select.len(), 1, "it has only moved");
    is_empty(&receiver);
}

fn an_end_can_be_in_two_selects() {
    let (sender, receiver) = channel::<u32>().unwrap();
    let selects = [Select::new().unwrap(), Select::new().unwrap()];
    let tokens = selects.each_ref().map(|select| select.add(&receiver).unwrap());
    assert_ne!(tokens[0], tokens[1]);
    assert!(!selects[0].remove(tokens[1]), "a token means nothing to another select");
    sender.send(1).unwrap();
    assert_eq!(selects.each_ref().map(|select| found(select)), tokens.map(|token| vec![token]));
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(receiver.recv().unwrap_err().is_closed());
    assert!(selects.iter().all(|select| select.is_empty() && found(select).is_empty()), "it has left both");
}

fn an_end_is_a_member_once() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = select.add(&receiver).unwrap();
    let error = select.add(&receiver).unwrap_err();
    assert_eq!((error.call, error.source.kind()), ("epoll_ctl", ErrorKind::AlreadyExists));
    sender.send(1).unwrap();
    assert_eq!((found(&select), select.len()), (vec![token], 1));
}

fn a_member_can_leave_and_come_back_under_another_token() {
    let _ledger = FdLedger::open().unwrap();
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    sender.send(1).unwrap();
    let mut had = BTreeSet::new();
    for _ in 0..100 {
        let token = select.add(&receiver).unwrap();
        assert!(had.insert(token), "a token is never used twice");
        assert_eq!(found(&select), [token]);
        assert!(select.remove(token) && !select.remove(token));
        assert!(found(&select).is_empty());
    }
    assert_eq!(receiver.recv().unwrap(), 1);
}

fn what_more_than_one_wait_can_tell_comes_in_turns() {
    let select = Select::new().unwrap();
    let channels: Vec<_> = (0..200).map(|_| channel::<u32>().unwrap()).collect();
    let tokens: BTreeSet<_> = channels.iter().map(|(_, receiver)| select.add(receiver).unwrap()).collect();
    channels.iter().for_each(|(sender, _)| sender.send(1).unwrap());
    // Nobody drains anything, and in four waits each has been told of.
    let waits: Vec<_> = (0..4).map(|_| select.wait().unwrap()).collect();
    assert!(waits.iter().all(|ready| ready.len() == 64));
    assert_eq!(waits.into_iter().flatten().collect::<BTreeSet<_>>(), tokens);
}

fn a_flood_keeps_nobody_waiting() {
    let select = Select::new().unwrap();
    let floods: Vec<_> = (0..500).map(|_| channel::<u32>().unwrap()).collect();
    floods.iter().for_each(|(sender, receiver)| {
        select.add(receiver).unwrap();
        (0..10).for_each(|number| sender.send(number).unwrap());
    });
    let (sender, receiver) = channel::<u32>().unwrap();
    let quiet = select.add(&receiver).unwrap();
    for _ in 0..10 {
        sender.send(1).unwrap();
        // The others are never drained. 501 are ready, and 64 come at a time.
        let waits = (1..).find(|_| select.wait().unwrap().contains(quiet)).unwrap();
        assert!(waits <= 501_usize.div_ceil(64), "{waits} waits");
        receiver.try_recv().unwrap();
        is_empty(&receiver);
    }
}

fn plain_descriptors_are_members() {
    let _ledger = FdLedger::open().unwrap();
    let select = Select::new().unwrap();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let token = select.add_fd(&far, Interest::Readable).unwrap();
    assert!(found(&select).is_empty());
    near.write_all(b"x").unwrap();
    assert_eq!(found(&select), [token]);
    far.read_exact(&mut [0]).unwrap();
    assert!(found(&select).is_empty());

    // The same descriptor as often as one likes.
    let writable = select.add_fd(&far, Interest::Writable).unwrap();
    let both = select.add_fd(&far, Interest::Both).unwrap();
    assert_eq!(found(&select), [writable, both]);
    assert!(select.remove(writable) && select.remove(both));

    // A sender, for room.
    let (sender, receiver) = channel::<u32>().unwrap();
    let room = select.add_fd(&sender, Interest::Writable).unwrap();
    assert_eq!(found(&select), [room]);
    while sender.try_send(1).is_ok() {}
    assert!(found(&select).is_empty());
    receiver.try_iter().for_each(drop);
    assert_eq!(found(&select), [room]);
    assert!(select.remove(room));

    // Nobody at the other end any more: whatever one is interested in.
    drop(near);
    assert_eq!(found(&select), [token]);
    assert!(select.remove(token));
}

fn a_plain_descriptor_is_kept_until_it_is_removed() {
    let select = Select::new().unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let token = select.add_fd(&far, Interest::Readable).unwrap();
    drop(far);
    near.write_all(b"x").unwrap();
    assert_eq!(found(&select), [token]);
    assert!(select.remove(token));
    assert!(near.write_all(b"x").is_err(), "now it is closed");
}

fn what_cannot_be_polled_is_refused() {
    let _ledger = FdLedger::open().unwrap();
    let select = Select::new().unwrap();
    let error = select.add_fd(support::some_file(), Interest::Readable).unwrap_err();
    assert_eq!((error.call, error.source.kind()), ("epoll_ctl", ErrorKind::PermissionDenied));
    assert!(select.add_fd(&select, Interest::Readable).is_err(), "nor does it wait for itself");
    assert!(select.is_empty());
}

fn a_deadline_is_reported_once_and_not_early() {
    let select = Select::new().unwrap();
    for deadline in [soon(), Instant::now(), Instant::now() - Duration::from_secs(1)] {
        let token = select.add_deadline(deadline);
        assert_eq!(select.len(), 1);
        assert_eq!(select.wait().unwrap().as_slice(), [token]);
        assert!(Instant::now() >= deadline);
        assert!(found(&select).is_empty() && select.is_empty() && !select.remove(token));
    }
}

fn deadlines_come_in_their_order() {
    let select = Select::new().unwrap();
    let now = Instant::now();
    let mut tokens: Vec<_> = [3, 1, 2, 1].map(|ms| (ms, select.add_deadline(now + Duration::from_millis(ms)))).into();
    tokens.sort();
    let come: Vec<Token> = std::iter::from_fn(|| (!select.is_empty()).then(|| select.wait().unwrap())).flatten().collect();
    assert_eq!(come, tokens.into_iter().map(|(_, token)| token).collect::<Vec<_>>());
}

fn more_deadlines_than_one_wait_can_tell_all_come() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let end = select.add(&receiver).unwrap();
    sender.send(1).unwrap();
    let past = Instant::now();
    let mut tokens: BTreeSet<_> = (0..200).map(|_| select.add_deadline(past)).collect();
    while !tokens.is_empty() {
        let ready = select.wait().unwrap();
        assert!(ready.contains(end), "deadlines take nobody's place");
        assert!(ready.iter().filter(|&token| token != end).all(|token| tokens.remove(&token)));
    }
    assert_eq!((found(&select), select.len()), (vec![end], 1));
}

fn a_removed_deadline_does_not_come() {
    let select = Select::new().unwrap();
    let first = select.add_deadline(Instant::now());
    let second = select.add_deadline(soon());
    assert!(select.remove(first));
    assert_eq!(select.wait().unwrap().as_slice(), [second]);
    let deadline = soon();
    let last = select.add_deadline(deadline);
    assert!(select.remove(last));
    // Nor does it wake anybody.
    let mut fds = [PollFd::new(&select, PollFlags::IN)];
    let past = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    assert_eq!(poll(&mut fds, Some(&past)).unwrap(), 0);
    assert!(Instant::now() > deadline && found(&select).is_empty());
}

fn a_deadline_beyond_the_clock_is_for_ever() {
    let select = Select::new().unwrap();
    // As far as an `Instant` goes.
    let mut far = Instant::now();
    for power in (0..63).rev() {
        far = far.checked_add(Duration::from_secs(1 << power)).unwrap_or(far);
    }
    let token = select.add_deadline(far);
    select.waker().wake();
    for ready in [select.wait_deadline(far), select.try_wait(), select.wait_timeout(Duration::from_millis(1))] {
        assert!(ready.unwrap().is_empty());
    }
    select.waker().wake();
    assert!(select.wait_timeout(Duration::MAX).unwrap().woken());
    assert!(select.remove(token));
}

fn a_wait_ends_when_its_time_is_over() {
    let select = Select::new().unwrap();
    let (_sender, receiver) = channel::<u32>().unwrap();
    select.add(&receiver).unwrap();
    let before = Instant::now();
    let ready = select.wait_timeout(Duration::from_millis(5)).unwrap();
    assert!(ready.is_empty() && !ready.woken());
    assert!(before.elapsed() >= Duration::from_millis(5));
    let deadline = soon();
    assert!(select.wait_deadline(deadline).unwrap().is_empty());
    assert!(Instant::now() >= deadline);
    assert!(select.wait_deadline(before).unwrap().is_empty());
    assert!(select.wait_timeout(Duration::ZERO).unwrap().is_empty());
}

fn trying_does_not_wait() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = select.add(&receiver).unwrap();
    assert!(select.try_wait().unwrap().is_empty());
    sender.send(1).unwrap();
    let ready = select.try_wait().unwrap();
    assert!(ready.contains(token) && !ready.is_empty() && ready.len() == 1);
    assert_eq!((&ready).into_iter().chain(ready.clone()).collect::<Vec<_>>(), [token; 2]);
    assert_eq!(format!("{ready:?}"), format!("Ready {{ tokens: [{token:?}], woken: false }}"));
}

fn waiting_for_nothing_ends_with_a_wake() {
    let select = Select::new().unwrap();
    let ready = wait_meanwhile(&select, || select.waker().wake());
    assert!(ready.woken() && ready.is_empty());
}

fn a_wake_from_another_thread_ends_a_wait() {
    let select = Select::new().unwrap();
    let (_sender, receiver) = channel::<u32>().unwrap();
    select.add(&receiver).unwrap();
    let (told, tell) = mpsc::channel();
    let waker = select.waker();
    thread::scope(|scope| {
        scope.spawn(|| (0..1000).for_each(|_| told.send(select.wait().unwrap().woken()).unwrap()));
        // Each wait is ended by one wake of its own: none is lost, and none is told twice.
        for _ in 0..1000 {
            waker.clone().wake();
            assert!(tell.recv().unwrap());
        }
    });
    assert!(!select.try_wait().unwrap().woken());
}

fn a_wake_before_the_wait_is_remembered_once() {
    let select = Select::new().unwrap();
    let waker = select.waker();
    (0..3).for_each(|_| waker.wake());
    assert!(select.wait().unwrap().woken());
    assert!(!select.try_wait().unwrap().woken());
    waker.wake();
    assert!(select.wait_timeout(FOREVER).unwrap().woken());
    waker.wake();
    assert!(select.try_wait().unwrap().woken());
}

fn a_wake_comes_with_what_is_ready() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = select.add(&receiver).unwrap();
    sender.send(1).unwrap();
    select.waker().wake();
    let ready = select.wait().unwrap();
    assert!(ready.woken() && ready.contains(token));
    let ready = select.wait().unwrap();
    assert!(!ready.woken() && ready.contains(token));
}

fn a_waker_outlives_its_select() {
    let _ledger = FdLedger::open().unwrap();
    let select = Select::new().unwrap();
    let waker = select.waker();
    drop(select);
    waker.wake();
    // Its number is its own: whatever was opened since is untouched.
    let (mut near, _far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    waker.clone().wake();
    assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

static WAKER: OnceLock<Waker> = OnceLock::new();

fn a_signal_handler_can_wake() {
    extern "C" fn wake(_: libc::c_int) {
        if let Some(waker) = WAKER.get() {
            waker.wake();
        }
    }
    support::handle(libc::SIGUSR1, wake);
    // In the middle of a wait, of that very thread: as the kernel is about to do the call. It runs in a process of its own.
    let wait = || {
        let select = Select::new().unwrap();
        WAKER.get_or_init(|| select.waker());
        mark();
        assert!(select.wait().unwrap().woken());
        mark();
    };
    let mut sent = false;
    let [calls] = record([&wait], |_, call| {
        if call.number == EPOLL_WAIT && !std::mem::replace(&mut sent, true) {
            support::kill(call.process, libc::SIGUSR1);
        }
    });
    // The handler's write, and the end of the handler.
    assert_eq!(numbers(&calls), [SYS_getpid, EPOLL_WAIT, SYS_write, SYS_rt_sigreturn, EPOLL_WAIT]);

    let select = Select::new().unwrap();
    WAKER.get_or_init(|| select.waker());
    support::raise(libc::SIGUSR1);
    assert!(select.wait().unwrap().woken());
    // The interrupted code may be about to look at `errno`, also where a sandbox lets nobody write.
    support::forbid(SYS_write, libc::EPERM);
    support::set_errno(libc::E2BIG);
    support::raise(libc::SIGUSR1);
    assert_eq!(support::errno(), libc::E2BIG);
    assert!(!select.try_wait().unwrap().woken());
}

fn a_signal_ends_no_wait() {
    let (sender, receiver) = channel::<u32>().unwrap();
    support::catch(libc::SIGUSR1);
    let wait = |select: &Select, wait: fn(&Select) -> Ready| {
        let token = select.add(&receiver).unwrap();
        mark();
        assert_eq!(wait(select).as_slice(), [token]);
        mark();
        receiver.recv().unwrap();
    };
    // Each in a process of its own, so with a select of its own.
    let forever = || wait(&Select::new().unwrap(), |select| select.wait().unwrap());
    let timed = || wait(&Select::new().unwrap(), |select| select.wait_timeout(FOREVER).unwrap());
    for (wait, blocking) in [(&forever as &dyn Fn(), EPOLL_WAIT), (&timed, SYS_ppoll)] {
        let mut waits = 0;
        let [calls] = record([wait], |_, call| {
            if call.number == blocking {
                waits += 1;
                // Three signals, and then what it waits for.
                if waits <= 3 { support::kill(call.process, libc::SIGUSR1) } else { sender.send(1).unwrap() }
            }
        });
        assert_eq!(calls.iter().filter(|call| call.number == blocking).count(), 4);
    }
}

/// A wait in a thread of its own, which is under way when `meanwhile` runs.
fn wait_meanwhile(select: &Select, meanwhile: impl FnOnce()) -> Ready {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let waiting = scope.spawn(move || {
            tell.send(Observed::this()).unwrap();
            select.wait().unwrap()
        });
        told.recv().unwrap().sleeps_in(EPOLL_WAIT);
        meanwhile();
        waiting.join().unwrap()
    })
}

fn what_another_thread_adds_counts_for_the_wait_under_way() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    sender.send(1).unwrap();
    let mut added = None;
    let ready = wait_meanwhile(&select, || added = Some(select.add(&receiver).unwrap()));
    assert_eq!(ready.as_slice(), [added.unwrap()]);
    assert!(select.remove(added.unwrap()));

    let ready = wait_meanwhile(&select, || added = Some(select.add_fd(&sender, Interest::Writable).unwrap()));
    assert_eq!(ready.as_slice(), [added.unwrap()]);
    assert!(select.remove(added.unwrap()));

    let late = select.add_deadline(Instant::now() + FOREVER);
    let ready = wait_meanwhile(&select, || added = Some(select.add_deadline(soon())));
    assert_eq!(ready.as_slice(), [added.unwrap()], "a deadline that comes before the one that was waited for");
    assert!(select.remove(late));
}

fn what_another_thread_removes_is_not_waited_for() {
    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let (to_dropped, dropped) = channel::<u32>().unwrap();
    let (lasting, last) = channel::<u32>().unwrap();
    let (removed, kept) = (select.add(&receiver).unwrap(), select.add(&last).unwrap());
    select.add(&dropped).unwrap();
    let deadline = select.add_deadline(soon() + FOREVER);
    let ready = wait_meanwhile(&select, || {
        assert!(select.remove(removed) && select.remove(deadline));
        drop(dropped);
        sender.send(1).unwrap();
        assert!(to_dropped.send(1).unwrap_err().is_closed());
        lasting.send(1).unwrap();
    });
    assert_eq!(ready.as_slice(), [kept]);
}

fn several_threads_share_one_select() {
    const THREADS: usize = 4;
    const MESSAGES: u32 = 2000;
    let select = Select::new().unwrap();
    // Each message is received by whoever takes the receiver first.
    let mut receivers = BTreeMap::new();
    let mut senders = Vec::new();
    for _ in 0..8 {
        let (sender, receiver) = channel::<u32>().unwrap();
        receivers.insert(select.add(&receiver).unwrap(), Mutex::new(receiver));
        senders.push(sender);
    }
    let received = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while received.load(Ordering::Relaxed) < MESSAGES {
                    for token in &select.wait().unwrap() {
                        let messages = receivers[&token].lock().unwrap().try_iter().map(Result::unwrap).count();
                        received.fetch_add(messages as u32, Ordering::Relaxed);
                    }
                }
                // The next one learns of the end.
                select.waker().wake();
            });
        }
        (0..MESSAGES).for_each(|number| senders[number as usize % senders.len()].send(number).unwrap());
    });
    assert_eq!(received.into_inner(), MESSAGES);
}

/// One look of somebody else's epoll.
fn look(epoll: &OwnedFd) -> Vec<u64> {
    let mut events = Vec::with_capacity(8);
    epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&Timespec::default())).unwrap();
    events.into_iter().map(|event| event.data.u64()).collect()
}

fn a_reused_number_yields_nobody_elses_event() {
    let _ledger = FdLedger::open().unwrap();
    let (carrier, arrivals) = channel::<Carried>().unwrap();
    let number = |receiver: &Receiver<u32>| receiver.as_fd().as_raw_fd();
    // The control: by hand, without taking it out first, the set goes on telling of a file that has gone on in a message.
    let by_hand = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    epoll::add(&by_hand, &receiver, epoll::EventData::new_u64(1), epoll::EventFlags::IN).unwrap();
    let was = number(&receiver);
    carrier.send(Carried(receiver)).unwrap();
    let (_sender, reused) = (sender, channel::<u32>().unwrap());
    assert_eq!(was, number(&reused.1).min(reused.0.as_fd().as_raw_fd()), "the number is somebody else's");
    _sender.send(1).unwrap();
    assert_eq!(look(&by_hand), [1], "an event of nobody");
    drop((reused, _sender, arrivals.recv().unwrap()));

    let select = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = select.add(&receiver).unwrap();
    let was = number(&receiver);
    carrier.send(Carried(receiver)).unwrap();
    let reused = channel::<u32>().unwrap();
    assert_eq!(was, number(&reused.1).min(reused.0.as_fd().as_raw_fd()));
    let other = select.add(&reused.1).unwrap();
    sender.send(1).unwrap();
    assert!(found(&select).is_empty());
    reused.0.send(1).unwrap();
    assert_eq!(found(&select), [other]);
    assert!(!select.remove(token));
    assert_eq!(found(&select), [other], "the token of the one does not remove the other");
}

fn a_fork_is_refused_and_harms_nothing() {
    let _ledger = FdLedger::open().unwrap();
    let select = Arc::new(Select::new().unwrap());
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = select.add(&receiver).unwrap();
    let plain = select.add_fd(&sender, Interest::Writable).unwrap();
    let deadline = select.add_deadline(soon());
    let inherited = Arc::clone(&select);
    let child = ForkedProcess::spawn(move |parent: Channel<Note, ()>| {
        let mut refused = vec![inherited.wait().unwrap_err(), inherited.try_wait().unwrap_err()];
        refused.push(inherited.wait_timeout(FOREVER).unwrap_err());
        refused.push(inherited.add(&parent).unwrap_err());
        refused.push(inherited.add_fd(&parent, Interest::Readable).unwrap_err());
        assert!(refused.iter().all(|error| error.source.kind() == ErrorKind::Unsupported));
        assert_eq!(
            (inherited.len(), inherited.remove(token), inherited.remove(plain), inherited.remove(deadline)),
            (0, false, false, false)
        );
        inherited.add_deadline(Instant::now());
        parent.send(Note(format!("{}: {}", refused[0], refused[0].source))).unwrap();
        // And it is dropped.
        drop(inherited);
    })
    .unwrap();
    assert_eq!(
        child.recv().unwrap().0,
        "using a `Select` of another process failed: a fork shares it with the parent, which would lose events: make another in the fork"
    );
    assert!(child.wait().unwrap().success());
    sender.send(1).unwrap();
    let (all, mut told) = (BTreeSet::from([token, plain, deadline]), BTreeSet::new());
    while told != all {
        told.extend(select.wait().unwrap());
    }
    assert_eq!((select.remove(plain), select.len(), receiver.recv().unwrap()), (true, 1, 1));
}

/// A receiver that children inherit without capturing it: each has a copy, and the parent keeps its own.
static RECEIVER: Mutex<Option<Receiver<u32>>> = Mutex::new(None);

fn a_fork_does_not_deregister_what_it_inherited() {
    let (sender, receiver) = channel::<u32>().unwrap();
    let (select, by_hand) = (Select::new().unwrap(), epoll::create(epoll::CreateFlags::CLOEXEC).unwrap());
    let token = select.add(&receiver).unwrap();
    epoll::add(&by_hand, &receiver, epoll::EventData::new_u64(1), epoll::EventFlags::IN).unwrap();
    sender.send(1).unwrap();
    sender.close();
    RECEIVER.lock().unwrap().replace(receiver);
    // All that makes an end leave.
    let leave: [fn(Receiver<u32>); 3] = [
        drop,
        |receiver| drop(OwnedFd::try_from(receiver).unwrap()),
        |receiver| {
            assert_eq!(receiver.recv().unwrap(), 1);
            assert!(receiver.recv().unwrap_err().is_closed());
        },
    ];
    for leave in leave {
        let child = ForkedProcess::spawn(move |_: Channel<()>| leave(RECEIVER.lock().unwrap().take().unwrap())).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!((found(&select), look(&by_hand)), (vec![token], vec![1]));
    }
    // The control: by hand, the child takes the parent's interest away.
    let inherited = by_hand.try_clone().unwrap();
    let child = ForkedProcess::spawn(move |_: Channel<()>| {
        epoll::delete(&inherited, RECEIVER.lock().unwrap().as_ref().unwrap()).unwrap();
    })
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!((found(&select), look(&by_hand)), (vec![token], vec![]));
}

fn a_fork_waits_with_a_select_of_its_own() {
    let parents = Select::new().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    parents.add(&receiver).unwrap();
    let child = ForkedProcess::spawn(move |parent: Channel<u32, ()>| {
        let select = Select::new().unwrap();
        let tokens = [select.add(&receiver).unwrap(), select.add(&parent).unwrap()];
        assert_eq!(select.wait().unwrap().as_slice(), [tokens[0]]);
        parent.send(receiver.try_recv().unwrap()).unwrap();
        assert_eq!(select.wait().unwrap().as_slice(), [tokens[1]]);
        assert!(parent.try_recv().unwrap_err().is_closed());
        drop(receiver);
        assert!(select.is_empty(), "both have left it");
    })
    .unwrap();
    assert!(parents.is_empty(), "what a child has captured is its own");
    sender.send(7).unwrap();
    assert_eq!(child.recv().unwrap(), 7);
    assert!(child.wait().unwrap().success());
}

fn a_fork_of_the_unchecked_kind_finds_no_locked_list() {
    let select = Arc::new(Select::new().unwrap());
    let done = Arc::new(AtomicBool::new(false));
    // A thread that has the list locked for much of its time.
    let busy = thread::spawn({
        let (select, done) = (Arc::clone(&select), Arc::clone(&done));
        move || {
            while !done.load(Ordering::Relaxed) {
                let token = select.add_deadline(Instant::now() + FOREVER);
                select.remove(token);
            }
        }
    });
    for _ in 0..100 {
        let (_sender, receiver) = channel::<u32>().unwrap();
        select.add(&receiver).unwrap();
        let theirs = Arc::clone(&select);
        let child = support::spawn_unchecked(move |_: Channel<()>| {
            assert!(theirs.try_wait().is_err() && theirs.is_empty());
            theirs.add_deadline(Instant::now());
            drop(receiver);
            drop(theirs);
        });
        assert!(child.wait().unwrap().success());
    }
    done.store(true, Ordering::Relaxed);
    busy.join().unwrap();
}

fn a_select_nests_in_a_select_and_in_a_foreign_reactor() {
    let (inner, outer) = (Select::new().unwrap(), Select::new().unwrap());
    let (sender, receiver) = channel::<u32>().unwrap();
    let token = inner.add(&receiver).unwrap();
    let nested = outer.add_fd(&inner, Interest::Readable).unwrap();
    let foreign = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    epoll::add(&foreign, &inner, epoll::EventData::new_u64(9), epoll::EventFlags::IN).unwrap();
    let quiet = || assert!(found(&outer).is_empty() && look(&foreign).is_empty());
    let stirs = || assert_eq!((found(&outer), look(&foreign)), (vec![nested], vec![9]));
    quiet();
    sender.send(1).unwrap();
    stirs();
    assert_eq!(inner.try_wait().unwrap().as_slice(), [token]);
    receiver.try_recv().unwrap();
    quiet();
    inner.waker().wake();
    stirs();
    assert!(inner.try_wait().unwrap().woken());
    quiet();
    inner.add_deadline(Instant::now());
    assert_eq!(outer.wait().unwrap().as_slice(), [nested]);
    assert_eq!(inner.try_wait().unwrap().len(), 1);
    quiet();
}

fn every_descriptor_is_given_back() {
    let ledger = FdLedger::open().unwrap();
    let count = || FdLedger::open().unwrap().count() - ledger.count();
    let select = Select::new().unwrap();
    assert_eq!(count(), 3);
    let waker = select.waker();
    let (sender, receiver) = channel::<u32>().unwrap();
    select.add(&receiver).unwrap();
    assert_eq!(count(), 5, "an end is not kept open");
    let token = select.add_fd(&sender, Interest::Writable).unwrap();
    assert_eq!(count(), 6);
    select.remove(token);
    assert_eq!(count(), 5);
    select.add_fd(&sender, Interest::Writable).unwrap();
    select.add_deadline(Instant::now() + FOREVER);
    drop(select);
    assert_eq!(count(), 3, "two ends, and what the waker writes to");
    drop((waker, sender, receiver));
    ledger.check().unwrap();
}

fn a_select_that_goes_first_is_no_trouble_to_its_members() {
    let _ledger = FdLedger::open().unwrap();
    let (sender, receiver) = channel::<u32>().unwrap();
    // The end remembers where it is, and forgets what has gone.
    for _ in 0..100 {
        Select::new().unwrap().add(&receiver).unwrap();
    }
    sender.send(1).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(receiver.recv().unwrap_err().is_closed());
}

fn no_descriptor_lands_on_a_closed_standard_one() {
    support::close_standard_descriptors();
    let select = Select::new().unwrap();
    assert!(select.as_fd().as_raw_fd() > 2 && support::open_numbers().iter().all(|&number| number > 2));
    assert!(support::is_cloexec(select.as_fd()));
}

fn a_select_that_cannot_be_made_leaves_nothing() {
    let ledger = FdLedger::open().unwrap();
    let lowest_free = support::some_file().as_raw_fd() as u64;
    let calls = [0, 1, 2].map(|room| {
        support::set_limit(libc::RLIMIT_NOFILE, lowest_free + room);
        let error = Select::new().unwrap_err();
        support::no_descriptor_limit();
        ledger.check().unwrap();
        assert_eq!(error.source.raw_os_error(), Some(libc::EMFILE));
        error.call
    });
    assert_eq!(calls, ["epoll_create1", "eventfd", "timerfd_create"]);
}

fn a_wait_costs_getpid_and_epoll_wait() {
    const COUNTED: usize = 100;
    let (near, far) = Channel::<u32>::pair().unwrap();
    let calls = |wait: fn(&Select) -> Ready, each: &[libc::c_long]| {
        let here = || {
            let select = Select::new().unwrap();
            let token = select.add(&near).unwrap();
            let round = || {
                far.send(0).unwrap();
                assert!(wait(&select).contains(token));
                near.try_recv().unwrap();
            };
            round();
            mark();
            (0..COUNTED).for_each(|_| round());
            mark();
        };
        let [calls] = record([&here], |_, _| {});
        assert_eq!(numbers(&calls), each.repeat(COUNTED));
    };
    // What is a member costs no more for it.
    let each = [SYS_sendmsg, SYS_getpid, EPOLL_WAIT, SYS_recvmsg];
    calls(|select| select.wait().unwrap(), &each);
    calls(|select| select.try_wait().unwrap(), &each);
    calls(|select| select.wait_timeout(FOREVER).unwrap(), &each);
}

fn waiting_with_a_limit_of_time_costs_a_ppoll_and_another_look() {
    let (sender, receiver) = channel::<u32>().unwrap();
    let wait = || {
        let select = Select::new().unwrap();
        select.add(&receiver).unwrap();
        mark();
        let ready = select.wait_timeout(FOREVER).unwrap();
        mark();
        assert_eq!(ready.len(), 1);
    };
    // The message comes when the first look has found nothing.
    let [calls] = record([&wait], |_, call| {
        if call.number == SYS_ppoll {
            sender.send(1).unwrap();
        }
    });
    assert_eq!(numbers(&calls), [SYS_getpid, EPOLL_WAIT, SYS_ppoll, EPOLL_WAIT]);
    let give_up = || {
        let select = Select::new().unwrap();
        mark();
        let ready = select.wait_timeout(Duration::ZERO).unwrap();
        mark();
        assert!(ready.is_empty());
    };
    let [calls] = record([&give_up], |_, _| {});
    assert_eq!(numbers(&calls), [SYS_getpid, EPOLL_WAIT, SYS_ppoll]);
}

fn numbers(calls: &[calls::Call]) -> Vec<libc::c_long> {
    calls.iter().map(|call| call.number).collect()
}
