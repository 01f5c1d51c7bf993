//! Members come, go, close and are killed at random while threads wait: no wake-up is lost, no event is of somebody who has gone, and
//! everything that was sent comes before each end.
//!
//! Among the tests it is a short run. `BREEZEWAY_CHURN_SECONDS=60` makes it as long as that, and `BREEZEWAY_CHURN_SEED` repeats one.

mod support;

use breezeway::process::{CommandExt, Process, inherited};
use breezeway::select::{Select, Token};
use breezeway::testing::FdLedger;
use breezeway::{Message, Receiver, Sender, TryRecvError, channel};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

trials!(
    nothing_is_lost_while_members_come_and_go_and_one_thread_waits,
    nothing_is_lost_while_members_come_and_go_and_three_threads_wait,
    a_lost_wake_up_and_a_stale_event_are_noticed;
    programs: count
);

/// What members send: numbers from 0, each one more than the last.
#[derive(Message)]
struct Number(u64);

/// A program that sends as many numbers as it is told.
fn count() {
    let parent = inherited::<Number, Number>().unwrap();
    let many = parent.recv().unwrap().0;
    // An error is its parent's doing.
    let _ = (0..many).try_for_each(|number| parent.send(Number(number)));
}

/// xorshift64, by Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// One of these, if there are any.
    fn of<T>(&mut self, all: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let mut all = all;
        let count = all.len() as u64;
        if count == 0 { None } else { all.nth(self.below(count) as usize) }
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a decimal number"))
}

type Name = u64;

/// A member under one name, which stays the same when it leaves and comes back.
struct Member {
    token: Token,
    /// `None` while a thread receives from it.
    receiver: Option<Receiver<Number>>,
    received: u64,
}

#[derive(Default)]
struct State {
    members: BTreeMap<Name, Member>,
    names: BTreeMap<Token, Name>,
    deadlines: BTreeMap<Token, Instant>,
    /// Counts what has gone, so that a wait that began before can be told from one that began after.
    gone: u64,
    /// When a token went, in that count.
    went: BTreeMap<Token, u64>,
    /// How much was received of those that have said `Closed`.
    ended: BTreeMap<Name, u64>,
    received: u64,
    waits: u64,
    /// Members that were told of and had nothing.
    false_alarms: u64,
    over: bool,
}

impl State {
    fn goes(&mut self, token: Token) {
        self.gone += 1;
        self.went.insert(token, self.gone);
        self.names.remove(&token);
    }

    /// A token that a wait has told, which had begun when so many had gone: whose it is.
    fn told_of(&self, token: Token, began: u64) -> Option<Name> {
        if let Some(&went) = self.went.get(&token) {
            assert!(began < went, "{token:?} had gone before the wait began that told of it");
            return None;
        }
        Some(*self.names.get(&token).unwrap_or_else(|| panic!("{token:?} was never a member")))
    }
}

struct Churn {
    select: Select,
    state: Mutex<State>,
    moved: Condvar,
    /// How long a wake-up may take.
    patience: Duration,
}

impl Churn {
    fn new(patience: Duration) -> Churn {
        Churn { select: Select::new().unwrap(), state: Mutex::default(), moved: Condvar::new(), patience }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the other threads are well")
    }

    /// Waits until it is so; nothing but a lost wake-up takes so long.
    fn until(&self, what: &str, mut so: impl FnMut(&State) -> bool) {
        let (_state, time) = self.moved.wait_timeout_while(self.state(), self.patience, |state| !so(state)).unwrap();
        assert!(!time.timed_out(), "a wake-up was lost: {what}");
    }

    /// A thread that waits, and receives from what it is told of.
    fn wait(&self, alone: bool) {
        loop {
            let began = self.state().gone;
            let ready = self.select.wait().unwrap();
            for token in &ready {
                let mut state = self.state();
                if let Some(deadline) = state.deadlines.remove(&token) {
                    assert!(deadline <= Instant::now(), "not early");
                    state.goes(token);
                    continue;
                }
                let Some(name) = state.told_of(token, began) else { continue };
                let member = state.members.get_mut(&name).unwrap();
                let Some(receiver) = member.receiver.take() else { continue };
                let before = member.received;
                drop(state);
                let (count, closed) = receive(&receiver, before);
                let mut state = self.state();
                state.received += count;
                state.false_alarms += u64::from(count == 0 && !closed);
                if closed {
                    state.goes(token);
                    state.members.remove(&name);
                    state.ended.insert(name, before + count);
                } else {
                    let member = state.members.get_mut(&name).unwrap();
                    (member.receiver, member.received) = (Some(receiver), before + count);
                }
            }
            let mut state = self.state();
            state.waits += 1;
            // Nobody but this thread takes messages, so what it is told of is so.
            assert!(!alone || state.false_alarms == 0, "told of a member that had nothing");
            if state.over {
                // The next one learns of it too.
                self.select.waker().wake();
                return;
            }
            self.moved.notify_all();
        }
    }
}

/// Not more than this at a time, so that a flood does not keep a thread from the others.
fn receive(receiver: &Receiver<Number>, before: u64) -> (u64, bool) {
    for count in 0..200 {
        match receiver.try_recv() {
            Ok(Number(number)) => assert_eq!(number, before + count, "in order, and none twice"),
            Err(TryRecvError::Empty) => return (count, false),
            Err(TryRecvError::Closed) => return (count, true),
            Err(TryRecvError::Fault(fault)) => panic!("{fault:?}"),
        }
    }
    (200, false)
}

/// Who sends to a member.
enum Source {
    Here { sender: Sender<Number>, sent: u64 },
    Program { _told: Sender<Number>, process: Process, will_send: u64 },
}

fn churn(waiting: usize) {
    let time = from_environment("BREEZEWAY_CHURN_SECONDS").map(Duration::from_secs);
    let seed = from_environment("BREEZEWAY_CHURN_SEED").unwrap_or(0x5eed_0004);
    println!("BREEZEWAY_CHURN_SEED={seed}, {waiting} waiting");
    support::more_time(time.unwrap_or_default() + Duration::from_secs(20));
    let end = time.map(|time| Instant::now() + time);
    let ledger = FdLedger::open().unwrap();
    let churn = Churn::new(Duration::from_secs(8));
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..waiting).map(|_| scope.spawn(|| churn.wait(waiting == 1))).collect();
        let mut random = Random(seed);
        let mut sources = BTreeMap::new();
        // What must have been received of those whose sender has gone in peace.
        let mut promised = BTreeMap::new();
        let mut steps = 0_u64;
        while end.map_or(steps < 2500, |end| Instant::now() < end) {
            assert!(waiters.iter().all(|waiter| !waiter.is_finished()), "a thread that waits has failed");
            step(&churn, &mut random, steps, &mut sources, &mut promised);
            steps += 1;
        }
        for (name, source) in sources {
            close(name, source, false, &mut promised);
        }
        churn.until("some never end", |state| state.members.is_empty() && state.deadlines.is_empty());
        churn.state().over = true;
        churn.select.waker().wake();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        let state = churn.state();
        for (name, sent) in &promised {
            // Those that were dropped here have no end.
            state.ended.get(name).inspect(|&received| assert_eq!(received, sent, "all of {name} before its end"));
        }
        assert!(churn.select.is_empty());
        println!(
            "{steps} steps, {} waits, {} messages, {} went, {} ended, {} false alarms",
            state.waits,
            state.received,
            state.gone,
            state.ended.len(),
            state.false_alarms
        );
        assert!(state.ended.len() > 50 && state.received > 1000, "the run was worth its name");
    });
    drop(churn);
    ledger.check().unwrap();
}

/// The sender goes: in peace, or killed in the middle of a message.
fn close(name: Name, source: Source, kill: bool, promised: &mut BTreeMap<Name, u64>) {
    match source {
        Source::Here { sent, .. } => _ = promised.insert(name, sent),
        Source::Program { mut process, will_send, .. } => {
            if kill || will_send == u64::MAX {
                process.kill().unwrap();
            } else {
                promised.insert(name, will_send);
            }
            assert!(process.wait_timeout(Duration::from_secs(8)).unwrap().is_some(), "it ends");
        }
    }
}

fn step(churn: &Churn, random: &mut Random, name: Name, sources: &mut BTreeMap<Name, Source>, promised: &mut BTreeMap<Name, u64>) {
    // Locked while a member is added: whoever is told of it waits until it has a name.
    let add = |receiver: Receiver<Number>| {
        let mut state = churn.state();
        let token = churn.select.add(&receiver).unwrap();
        state.names.insert(token, name);
        state.members.insert(name, Member { token, receiver: Some(receiver), received: 0 });
    };
    match random.below(100) {
        0..10 if sources.len() < 40 => {
            let (sender, receiver) = channel().unwrap();
            add(receiver);
            sources.insert(name, Source::Here { sender, sent: 0 });
        }
        10..12 if sources.len() < 40 => {
            let child = support::program("count").spawn_with_channel::<Number, Number>().unwrap();
            // Its hello is readable, and no message.
            child.wait_ready(Duration::from_secs(8)).unwrap();
            let (channel, process) = child.into_parts();
            let will_send = if random.below(4) == 0 { u64::MAX } else { random.below(3000) };
            channel.send(Number(will_send)).unwrap();
            let (told, receiver) = channel.split();
            add(receiver);
            sources.insert(name, Source::Program { _told: told, process, will_send });
        }
        12..60 => {
            if let Some(Source::Here { sender, sent }) = random.of(sources.values_mut()) {
                for _ in 0..random.below(50) {
                    // Closed, if its receiver was dropped; or full, if its receiver is slow.
                    if sender.try_send(Number(*sent)).is_err() {
                        break;
                    }
                    *sent += 1;
                }
            }
        }
        60..66 => {
            if let Some(name) = random.of(sources.keys().copied().collect::<Vec<_>>().into_iter()) {
                let source = sources.remove(&name).unwrap();
                close(name, source, random.below(2) == 0, promised);
            }
        }
        66..80 => {
            // Leaves, and comes back under another token; or leaves for good.
            let mut state = churn.state();
            let names: Vec<_> = state.members.keys().copied().collect();
            let Some(name) = random.of(names.into_iter()) else { return };
            let member = state.members.get_mut(&name).unwrap();
            let (token, receiver) = (member.token, member.receiver.take());
            let Some(receiver) = receiver else { return };
            if random.below(10) == 0 {
                drop(receiver);
                assert!(!churn.select.remove(token), "it left when it was dropped");
                state.members.remove(&name);
                state.goes(token);
                return;
            }
            assert!(churn.select.remove(token));
            state.goes(token);
            let again = churn.select.add(&receiver).unwrap();
            state.names.insert(again, name);
            let member = state.members.get_mut(&name).unwrap();
            (member.token, member.receiver) = (again, Some(receiver));
        }
        80..88 => {
            let deadline = Instant::now() + Duration::from_micros(random.below(3000));
            let mut state = churn.state();
            let token = churn.select.add_deadline(deadline);
            state.deadlines.insert(token, deadline);
        }
        88..92 => {
            let mut state = churn.state();
            let tokens: Vec<_> = state.deadlines.keys().copied().collect();
            let Some(token) = random.of(tokens.into_iter()) else { return };
            // It may have been told to a thread that waits for the lock.
            if churn.select.remove(token) {
                state.deadlines.remove(&token);
                state.goes(token);
            }
        }
        92..95 => churn.select.waker().wake(),
        95..97 => churn.until("a deadline never came", |state| state.deadlines.is_empty()),
        _ => {
            // Everything that was sent from here to those that are still members arrives.
            let sent = sources.iter().filter_map(|(name, source)| match source {
                Source::Here { sent, .. } => Some((*name, *sent)),
                Source::Program { .. } => None,
            });
            let sent: Vec<_> = sent.collect();
            churn.until("what was sent has not arrived", |state| {
                sent.iter().all(|(name, sent)| state.members.get(name).is_none_or(|member| member.received == *sent))
            });
        }
    }
}

fn nothing_is_lost_while_members_come_and_go_and_one_thread_waits() {
    churn(1);
}

fn nothing_is_lost_while_members_come_and_go_and_three_threads_wait() {
    churn(3);
}

fn a_lost_wake_up_and_a_stale_event_are_noticed() {
    let select = Select::new().unwrap();
    let token = select.add_deadline(Instant::now());
    let mut state = State::default();
    state.names.insert(token, 7);
    assert_eq!(state.told_of(token, 0), Some(7));
    state.goes(token);
    assert_eq!(state.told_of(token, 0), None, "a wait that was under way");
    let fails = |test: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).is_err();
    assert!(fails(&|| _ = state.told_of(token, 1)), "one that began later");
    assert!(fails(&|| _ = state.told_of(select.add_deadline(Instant::now()), 1)), "nobody at all");
    // Nobody waits here.
    let churn = Churn::new(Duration::from_millis(1));
    churn.state().deadlines.insert(token, Instant::now());
    assert!(fails(&|| churn.until("planted", |state| state.deadlines.is_empty())));
}
