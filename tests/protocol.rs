//! Calls: what a protocol promises to those who call and to those who serve.

#![allow(clippy::needless_pass_by_value, reason = "arguments are what was received")]

mod support;

use breezeway::process::{CommandExt, ForkedProcess, inherited};
use breezeway::protocol::{Call, CallError, Feed, InProcess, Reply, ServiceEnd, Stream, StreamError, stream};
use breezeway::testing::FdLedger;
use breezeway::{Bytes, Channel, Message, SendTimeoutError, Sender, channel, schema};
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::{more_time, some_file};

trials!(
    every_kind_of_method_answers,
    a_service_in_another_process_answers,
    a_service_in_another_program_answers,
    arguments_may_have_the_macros_own_names,
    the_services_own_error_is_an_answer,
    a_file_arrives_as_a_file,
    answers_reach_their_callers_in_any_order,
    sixteen_threads_share_one_channel,
    a_caller_that_gives_up_hands_reading_on,
    callers_that_come_and_go_leave_nobody_asleep,
    an_answer_in_time_is_found_by_a_look,
    the_remaining_time_travels_with_the_call,
    a_late_answer_is_dropped_with_its_descriptors,
    a_call_that_is_dropped_is_cancelled_at_the_service,
    a_queued_call_that_is_cancelled_is_never_begun,
    a_call_is_cancelled_while_its_caller_receives,
    a_call_is_cancelled_while_its_caller_sleeps,
    ten_thousand_calls_cancelled_at_random_leak_nothing,
    a_call_that_cannot_be_sent_is_not_carried_out,
    calls_whose_answers_nobody_takes_do_not_block_their_client,
    a_panic_is_an_error_at_its_caller_only,
    a_panic_with_the_reply_in_hand_is_told,
    a_reply_that_is_dropped_is_an_error,
    later_answers_come_from_any_thread,
    calls_beyond_what_may_be_open_are_refused,
    several_threads_handle_at_the_same_time,
    messages_without_an_answer_outlive_their_client,
    one_service_serves_several_clients,
    a_stopped_service_answers_what_it_has_and_takes_no_more,
    a_stopped_service_gives_up_at_its_deadline,
    a_method_that_the_service_lacks_is_named_as_such,
    a_difference_between_two_programs_names_the_method,
    a_client_travels_as_an_argument,
    clients_and_channels_travel_as_results,
    a_client_with_copies_does_not_travel,
    a_stream_ends_when_it_is_finished,
    a_stream_that_breaks_off_is_an_error,
    a_streams_own_error_has_its_type,
    a_stream_that_is_dropped_stops_its_feed,
    a_million_items_with_a_slow_reader_take_no_memory,
    the_messages_of_a_protocol_are_ordinary_enums;
    programs: serve_store,
);

/// What the tests call.
#[breezeway::protocol(derive(Debug))]
trait Store {
    fn echo(value: u64) -> u64;
    fn get(key: String) -> Option<Bytes>;
    fn open(path: PathBuf) -> Result<File, NotOpened>;
    fn flush();
    #[oneway]
    fn note(line: String);
    fn count(to: u32) -> Stream<u32, NotOpened>;
    /// Keeps the reply for the test.
    #[later]
    fn keep(number: u32) -> File;
    fn panic(text: String);
    /// Says when it begins, and returns when it is told to, or no longer wanted.
    fn block(begun: Sender<u32>) -> bool;
    fn time_left() -> Option<Duration>;
    fn who() -> u64;
}

#[derive(Message, Debug, PartialEq, thiserror::Error)]
#[error("not opened: {0}")]
struct NotOpened(String);

#[derive(Default)]
struct Mine {
    kept: Mutex<Vec<(u32, Reply<Store, File>)>>,
    notes: Mutex<Vec<String>>,
    begun: AtomicUsize,
}

impl StoreService for Mine {
    fn echo(&self, _: &Call<'_>, value: u64) -> u64 {
        value
    }

    fn get(&self, _: &Call<'_>, key: String) -> Option<Bytes> {
        (key == "there").then(|| Bytes::from(vec![7; 10_000]))
    }

    fn open(&self, _: &Call<'_>, path: PathBuf) -> Result<File, NotOpened> {
        File::open(path).map_err(|error| NotOpened(error.to_string()))
    }

    fn flush(&self, _: &Call<'_>) {}

    fn note(&self, _: &Call<'_>, line: String) {
        self.notes.lock().unwrap().push(line);
    }

    fn count(&self, _: &Call<'_>, to: u32, feed: Feed<u32, NotOpened>) {
        // Beside the loop: a reader may be slow.
        thread::spawn(move || match to {
            0 => feed.fail(NotOpened("nothing to count".into())).unwrap(),
            // Ends without having finished.
            1 => {}
            to => {
                if (0..to).all(|number| feed.send(number).is_ok()) {
                    feed.finish().unwrap();
                }
            }
        });
    }

    fn keep(&self, _: &Call<'_>, number: u32, reply: Reply<Store, File>) {
        assert_ne!(number, u32::MAX, "the last number");
        self.kept.lock().unwrap().push((number, reply));
    }

    fn panic(&self, _: &Call<'_>, text: String) {
        panic!("{text}");
    }

    fn block(&self, call: &Call<'_>, begun: Sender<u32>) -> bool {
        self.begun.fetch_add(1, Ordering::Relaxed);
        begun.send(1).unwrap();
        while call.is_wanted() {
            thread::yield_now();
        }
        begun.send(2).unwrap();
        false
    }

    fn time_left(&self, call: &Call<'_>) -> Option<Duration> {
        call.remaining()
    }

    fn who(&self, call: &Call<'_>) -> u64 {
        call.client().to_string().parse().unwrap()
    }
}

fn store() -> (InProcess<StoreClient>, Arc<Mine>) {
    let mine = Arc::new(Mine::default());
    (Store::in_process(Arc::clone(&mine)).unwrap(), mine)
}

impl Mine {
    /// Takes the kept replies when there are so many.
    fn kept(&self, count: usize) -> Vec<(u32, Reply<Store, File>)> {
        loop {
            let mut kept = self.kept.lock().unwrap();
            if kept.len() == count {
                return std::mem::take(&mut kept);
            }
            drop(kept);
            thread::yield_now();
        }
    }
}

/// Waits until as much is open as before: another thread closes its own when it has sent it.
fn settled(ledger: &FdLedger) {
    while ledger.check().is_err() {
        thread::yield_now();
    }
}

fn every_kind_of_method_answers() {
    let (store, mine) = store();
    assert_eq!(store.echo(7).unwrap(), 7);
    assert_eq!(store.get("there".into()).unwrap().unwrap().len(), 10_000);
    assert_eq!(store.get("missing".into()).unwrap(), None);
    store.flush().unwrap();
    store.note("a line".into()).unwrap();
    store.flush().unwrap();
    assert_eq!(*mine.notes.lock().unwrap(), ["a line"]);
    assert_eq!(store.start_echo(8).wait().unwrap(), 8);
    assert!(!store.is_closed());
}

fn a_service_in_another_process_answers() {
    let child =
        ForkedProcess::spawn(|channel: ServiceEnd<Store>| Store::serve(Mine::default(), channel).map_err(std::io::Error::from)).unwrap();
    let (channel, mut process) = child.into_parts();
    let store = StoreClient::new(channel);
    assert_eq!(store.echo(7).unwrap(), 7);
    assert_eq!(store.count(3).unwrap().collect::<Result<Vec<_>, _>>().unwrap(), [0, 1, 2]);
    drop(store);
    assert!(process.wait().unwrap().success());
}

fn a_service_in_another_program_answers() {
    let (channel, mut process) = support::program("serve_store").spawn_with_channel().unwrap().into_parts();
    let store = StoreClient::new(channel);
    assert_eq!(store.echo(7).unwrap(), 7);
    assert!(store.open("Cargo.toml".into()).is_ok());
    drop(store);
    assert!(process.wait().unwrap().success());
}

fn serve_store() {
    Store::serve(Mine::default(), inherited().unwrap()).unwrap();
}

mod names {
    /// Arguments with the names that the macro itself uses.
    #[breezeway::protocol]
    #[allow(clippy::too_many_arguments)]
    pub(super) trait Names {
        fn all(call: u8, reply: u8, service: u8, request: u8, incoming: u8, answer: u8, feed: u8, r#type: u8) -> u8;
        #[later]
        fn r#match(answer: u8, reply: u8) -> u8;
    }
}

fn arguments_may_have_the_macros_own_names() {
    use breezeway::protocol::Reply;
    use names::{Names, NamesService};
    struct Sum;
    impl NamesService for Sum {
        fn all(&self, _: &Call<'_>, call: u8, reply: u8, service: u8, request: u8, incoming: u8, answer: u8, feed: u8, r#type: u8) -> u8 {
            call + reply + service + request + incoming + answer + feed + r#type
        }

        fn r#match(&self, _: &Call<'_>, answer: u8, reply: u8, to: Reply<Names, u8>) {
            to.send(answer + reply);
        }
    }
    let names = Names::in_process(&Sum).unwrap();
    assert_eq!(names.all(1, 2, 3, 4, 5, 6, 7, 8).unwrap(), 36);
    assert_eq!(names.r#match(1, 2).unwrap(), 3);
    assert_eq!(names.start_match(3, 4).wait().unwrap(), 7);
}

fn the_services_own_error_is_an_answer() {
    let (store, _) = store();
    let error = store.open("missing".into()).unwrap_err();
    assert_eq!(error.to_string(), "not opened: No such file or directory (os error 2)");
    assert!(error.answer().is_some());
    assert!(store.open("Cargo.toml".into()).is_ok());
}

fn a_file_arrives_as_a_file() {
    let (store, _) = store();
    let ledger = FdLedger::open().unwrap();
    let mut text = String::new();
    store.open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").into()).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("breezeway"));
    settled(&ledger);
}

fn answers_reach_their_callers_in_any_order() {
    let (store, mine) = store();
    let calls: Vec<_> = (0..10).map(|number| store.start_keep(number)).collect();
    let mut kept = mine.kept(10);
    kept.reverse();
    for (number, reply) in kept {
        let file = tempfile::tempfile().unwrap();
        file.set_len(number.into()).unwrap();
        reply.send(file);
    }
    for (number, call) in (0..).zip(calls) {
        assert_eq!(call.wait().unwrap().metadata().unwrap().len(), number);
    }
}

fn sixteen_threads_share_one_channel() {
    more_time(Duration::from_secs(300));
    let (store, _) = store();
    thread::scope(|scope| {
        for thread in 0..16_u64 {
            let store = &store;
            scope.spawn(move || {
                for call in 0..10_000 {
                    let value = thread << 32 | call;
                    assert_eq!(store.echo(value).unwrap(), value);
                }
            });
        }
    });
}

fn a_caller_that_gives_up_hands_reading_on() {
    let (store, mine) = store();
    let hasty = store.with_timeout(Duration::from_millis(50));
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            barrier.wait();
            hasty.keep(1)
        });
        let sleepers: Vec<_> = (2..4)
            .map(|number| {
                let (store, barrier) = (&store, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    store.keep(number).map(drop)
                })
            })
            .collect();
        let kept = mine.kept(3);
        assert!(reader.join().unwrap().unwrap_err().is_timeout());
        // Whoever reads now, it is one of those that wait.
        kept.into_iter().for_each(|(_, reply)| reply.send(some_file()));
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap().unwrap());
    });
}

fn callers_that_come_and_go_leave_nobody_asleep() {
    const SEED: u64 = 0x5eed_0007;
    println!("seed {SEED:#x}");
    more_time(Duration::from_secs(120));
    let (store, _) = store();
    thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                let mut random = Random(SEED + thread);
                for value in 0..2_000 {
                    if random.below(2) == 0 {
                        // Waits for ever, if nobody receives for it.
                        assert_eq!(store.echo(value).unwrap(), value);
                    } else {
                        let time = Duration::from_micros(random.below(300) as u64);
                        let outcome = store.with_timeout(time).echo(value);
                        assert!(outcome.map_or_else(|error| error.is_timeout(), |answer| answer == value));
                    }
                }
            });
        }
    });
}

fn an_answer_in_time_is_found_by_a_look() {
    let (store, mine) = store();
    let mut call = store.start_keep(1);
    for _ in 0..3 {
        call = call.wait_timeout(Duration::ZERO).unwrap_err();
    }
    mine.kept(1).pop().unwrap().1.send(some_file());
    let mut looks = 0;
    loop {
        match call.wait_timeout(Duration::ZERO) {
            Ok(answer) => break drop(answer.unwrap()),
            Err(again) => call = again,
        }
        looks += 1;
        assert!(looks < 1_000_000);
        thread::yield_now();
    }
}

fn the_remaining_time_travels_with_the_call() {
    let (store, _) = store();
    assert_eq!(store.time_left().unwrap(), None);
    let left = store.with_timeout(Duration::from_secs(60)).time_left().unwrap().unwrap();
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(1), "{left:?}");
    let left = store.with_deadline(Instant::now() + Duration::from_secs(60)).time_left().unwrap().unwrap();
    assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(1), "{left:?}");
    // Longer than any clock: for ever.
    assert_eq!(store.with_timeout(Duration::MAX).time_left().unwrap(), None);
}

fn a_late_answer_is_dropped_with_its_descriptors() {
    let (store, mine) = store();
    store.keep_once(&mine);
    let ledger = FdLedger::open().unwrap();
    let call = store.start_keep(1);
    mine.kept(1).pop().unwrap().1.send(some_file());
    // It is in the channel, with a file, and nobody has received it.
    drop(call);
    // The client goes on, and has received what came late.
    assert_eq!(store.echo(1).unwrap(), 1);
    settled(&ledger);
}

impl StoreClient {
    /// A call that is answered, after which the service has what it makes for the first of its kind.
    fn keep_once(&self, mine: &Mine) {
        let call = self.start_keep(0);
        mine.kept(1).pop().unwrap().1.send(some_file());
        drop(call.wait().unwrap());
    }
}

fn a_call_that_is_dropped_is_cancelled_at_the_service() {
    let (store, _) = store();
    let (begun, told) = channel().unwrap();
    let call = store.start_block(begun);
    assert_eq!(told.recv().unwrap(), 1);
    drop(call);
    // It has seen that nobody waits, and returns.
    assert_eq!(told.recv().unwrap(), 2);
    assert_eq!(store.echo(1).unwrap(), 1);
}

fn a_queued_call_that_is_cancelled_is_never_begun() {
    let (store, mine) = store();
    let (begun, told) = channel().unwrap();
    let first = store.start_block(begun.clone());
    assert_eq!(told.recv().unwrap(), 1);
    drop(store.start_block(begun));
    drop(first);
    assert_eq!(told.recv().unwrap(), 2);
    assert_eq!(store.echo(1).unwrap(), 1);
    assert_eq!(mine.begun.load(Ordering::Relaxed), 1);
}

fn a_call_is_cancelled_while_its_caller_receives() {
    let (store, mine) = store();
    store.keep_once(&mine);
    let ledger = FdLedger::open().unwrap();
    let mut call = store.start_keep(1);
    let canceller = call.canceller().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| call.wait());
        let kept = mine.kept(1);
        canceller.cancel();
        assert!(matches!(waiting.join().unwrap(), Err(CallError::Cancelled)));
        drop(kept);
    });
    canceller.cancel();
    drop(canceller);
    assert_eq!(store.echo(1).unwrap(), 1);
    settled(&ledger);
}

fn a_call_is_cancelled_while_its_caller_sleeps() {
    let (store, mine) = store();
    thread::scope(|scope| {
        let reader = scope.spawn(|| store.keep(1));
        let first = mine.kept(1);
        let mut call = store.start_keep(2);
        let canceller = call.canceller().unwrap();
        let sleeper = scope.spawn(|| call.wait());
        let second = mine.kept(1);
        canceller.cancel();
        assert!(matches!(sleeper.join().unwrap(), Err(CallError::Cancelled)));
        first.into_iter().for_each(|(_, reply)| reply.send(some_file()));
        reader.join().unwrap().unwrap();
        drop(second);
    });
}

fn ten_thousand_calls_cancelled_at_random_leak_nothing() {
    const SEED: u64 = 0x5eed_0005;
    println!("seed {SEED:#x}");
    more_time(Duration::from_secs(120));
    let (store, mine) = store();
    store.keep_once(&mine);
    let ledger = FdLedger::open().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Answers with a file, sooner or later.
        scope.spawn(|| {
            let mut random = Random(SEED);
            while !over.load(Ordering::Relaxed) {
                let mut kept = std::mem::take(&mut *mine.kept.lock().unwrap());
                while !kept.is_empty() {
                    let (_, reply) = kept.swap_remove(random.below(kept.len()));
                    reply.send(some_file());
                }
                thread::yield_now();
            }
        });
        let callers: Vec<_> = (0..4)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || cancel_at_random(store, Random(SEED + thread)))
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        // Everything before this has then been read.
        while let Err(error) = store.echo(1) {
            assert!(matches!(error, CallError::Busy), "{error:?}");
        }
        over.store(true, Ordering::Relaxed);
    });
    mine.kept.lock().unwrap().clear();
    // All answers that came before this have been received.
    assert_eq!(store.echo(2).unwrap(), 2);
    settled(&ledger);
    // The control: one file more is noticed.
    let leaked = some_file();
    assert!(ledger.check().is_err());
    drop(leaked);
}

fn cancel_at_random(store: &StoreClient, mut random: Random) {
    let mut calls = Vec::new();
    for number in 0..2_500 {
        calls.push(store.start_keep(number));
        let any = random.below(calls.len());
        match random.below(4) {
            0 => drop(calls.swap_remove(any)),
            1 => drop(calls.swap_remove(any).wait_timeout(Duration::from_micros(random.below(200) as u64))),
            2 => {
                let mut call = calls.swap_remove(any);
                call.canceller().unwrap().cancel();
                assert!(matches!(call.wait(), Ok(_) | Err(CallError::Cancelled | CallError::Busy)));
            }
            _ if calls.len() > 50 => calls.clear(),
            _ => {}
        }
    }
}

fn a_call_that_cannot_be_sent_is_not_carried_out() {
    let (store, mine) = store();
    let error = store.note("x".repeat(65 << 20)).unwrap_err();
    assert!(matches!(error, CallError::NotSent(SendTimeoutError::Fault((), _))), "{error:?}");
    let error = store.get("x".repeat(65 << 20)).unwrap_err();
    assert!(matches!(error, CallError::NotSent(SendTimeoutError::Fault((), _))), "{error:?}");
    assert_eq!(store.echo(1).unwrap(), 1);
    assert!(mine.notes.lock().unwrap().is_empty());
}

fn calls_whose_answers_nobody_takes_do_not_block_their_client() {
    let (store, _) = store();
    // Far more than both queues hold, each way.
    let calls: Vec<_> = (0..3_000).map(|_| store.start_get("there".into())).collect();
    let numbers: Vec<_> = (0..20_000).map(|number| (number, store.start_echo(number))).collect();
    for call in calls {
        assert_eq!(call.wait().unwrap().unwrap().len(), 10_000);
    }
    for (number, call) in numbers {
        assert_eq!(call.wait().unwrap(), number);
    }
}

fn a_panic_is_an_error_at_its_caller_only() {
    let (store, _) = store();
    let beside = store.start_echo(7);
    assert!(matches!(store.panic("so it is".into()), Err(CallError::Panicked(text)) if text == "so it is"));
    assert_eq!(beside.wait().unwrap(), 7);
    assert_eq!(store.echo(8).unwrap(), 8);
}

fn a_panic_with_the_reply_in_hand_is_told() {
    let (store, _) = store();
    let error = store.keep(u32::MAX).unwrap_err();
    assert!(matches!(&error, CallError::Panicked(text) if text.contains("the last number")), "{error:?}");
    assert_eq!(store.echo(8).unwrap(), 8);
}

fn a_reply_that_is_dropped_is_an_error() {
    let (store, mine) = store();
    let call = store.start_keep(1);
    drop(mine.kept(1));
    assert!(matches!(call.wait(), Err(CallError::Unanswered)));
}

fn later_answers_come_from_any_thread() {
    let (store, mine) = store();
    let calls: Vec<_> = (0..100).map(|number| store.start_keep(number)).collect();
    for (_, reply) in mine.kept(100) {
        thread::spawn(move || reply.send(some_file()));
    }
    calls.into_iter().for_each(|call| drop(call.wait().unwrap()));
}

fn calls_beyond_what_may_be_open_are_refused() {
    let mine = Arc::new(Mine::default());
    let server = Store::server(Arc::clone(&mine)).calls(NonZeroUsize::new(3).unwrap());
    let (client, end) = Store::pair().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| server.serve(end));
        let calls: Vec<_> = (0..3).map(|number| client.start_keep(number)).collect();
        let mut kept = mine.kept(3);
        assert!(matches!(client.keep(3), Err(CallError::Busy)));
        assert!(matches!(client.echo(1), Err(CallError::Busy)));
        kept.remove(0).1.send(some_file());
        assert_eq!(client.echo(1).unwrap(), 1);
        drop(kept);
        drop((calls, client));
        served.join().unwrap().unwrap();
    });
}

fn several_threads_handle_at_the_same_time() {
    /// Each call waits until all have begun.
    #[breezeway::protocol]
    trait Meet {
        fn meet();
    }
    struct Room(Barrier);
    impl MeetService for Room {
        fn meet(&self, _: &Call<'_>) {
            self.0.wait();
        }
    }
    let (client, channel) = Meet::pair().unwrap();
    let server = Meet::server(Room(Barrier::new(4))).threads(NonZeroUsize::new(4).unwrap());
    thread::scope(|scope| {
        let served = scope.spawn(|| server.serve(channel));
        for _ in 0..100 {
            let calls: Vec<_> = (0..4).map(|_| client.start_meet()).collect();
            calls.into_iter().for_each(|call| call.wait().unwrap());
        }
        drop(client);
        served.join().unwrap().unwrap();
    });
}

fn messages_without_an_answer_outlive_their_client() {
    for threads in [1, 3] {
        let mine = Arc::new(Mine::default());
        let server = Store::server(Arc::clone(&mine));
        let server = if threads == 1 { server } else { server.threads(NonZeroUsize::new(threads).unwrap()) };
        let (client, end) = Store::pair().unwrap();
        // That these cannot be answered is no reason to end.
        let calls: Vec<_> = (0..100).map(|number| client.start_echo(number)).collect();
        (0..1_000).for_each(|line| client.note(line.to_string()).unwrap());
        drop((calls, client));
        server.serve(end).unwrap();
        assert_eq!(mine.notes.lock().unwrap().len(), 1_000);
    }
}

fn one_service_serves_several_clients() {
    let server = Store::server(Mine::default());
    let stop = server.stop_handle();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let (client, channel) = Store::pair().unwrap();
                let server = &server;
                scope.spawn(move || server.serve(channel).unwrap());
                client
            })
            .collect();
        let mut numbers: Vec<_> = clients.iter().map(|client| client.who().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
        stop.stop(Duration::from_secs(5));
        assert!(clients.iter().all(|client| client.who().unwrap_err().is_closed()));
    });
    // One that comes later is not served.
    let (client, channel) = Store::pair().unwrap();
    server.serve(channel).unwrap();
    assert!(client.who().unwrap_err().is_closed());
}

fn a_stopped_service_answers_what_it_has_and_takes_no_more() {
    let mine = Arc::new(Mine::default());
    let server = Store::server(Arc::clone(&mine));
    let (client, end) = Store::pair().unwrap();
    let stop = server.stop_handle();
    thread::scope(|scope| {
        let served = scope.spawn(|| server.serve(end));
        let kept = client.start_keep(1);
        let replies = mine.kept(1);
        let (begun, told) = channel().unwrap();
        let blocked = client.with_timeout(Duration::from_millis(100)).start_block(begun);
        assert_eq!(told.recv().unwrap(), 1);
        // Sent before the end, and not read yet.
        let queued: Vec<_> = (0..100).map(|number| client.start_echo(number)).collect();
        stop.stop(Duration::from_secs(3600));
        let refused = client.echo(1).unwrap_err();
        assert!(matches!(refused, CallError::NotSent(SendTimeoutError::Closed(()))), "{refused:?}");
        for (number, call) in (0..).zip(queued) {
            assert_eq!(call.wait().unwrap(), number);
        }
        assert!(blocked.wait().map_or_else(|error| error.is_timeout(), |told_to| !told_to));
        assert!(!served.is_finished(), "a call is open");
        replies.into_iter().for_each(|(_, reply)| reply.send(some_file()));
        kept.wait().unwrap();
        served.join().unwrap().unwrap();
    });
}

fn a_stopped_service_gives_up_at_its_deadline() {
    let mine = Arc::new(Mine::default());
    let server = Store::server(Arc::clone(&mine));
    let (client, channel) = Store::pair().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| server.serve(channel));
        let call = client.start_keep(1);
        let kept = mine.kept(1);
        // Hurried.
        server.stop_handle().stop(Duration::from_secs(3600));
        server.stop_handle().stop(Duration::from_millis(10));
        served.join().unwrap().unwrap();
        assert!(matches!(call.wait(), Err(CallError::Closed)));
        // Too late, and of no effect.
        kept.into_iter().for_each(|(_, reply)| reply.send(some_file()));
    });
}

/// Another program's idea of the protocol.
mod newer {
    #[breezeway::protocol]
    pub(super) trait Few {
        fn echo(value: u64) -> u64;
    }
    #[breezeway::protocol]
    pub(super) trait Many {
        fn echo(value: u64) -> u64;
        fn added(text: String) -> u64;
    }
}

fn a_method_that_the_service_lacks_is_named_as_such() {
    use newer::{Few, FewService, ManyClient};
    struct Old;
    impl FewService for Old {
        fn echo(&self, _: &Call<'_>, value: u64) -> u64 {
            value
        }
    }
    let (left, right) = Channel::<u8, u8>::pair().unwrap();
    let client = ManyClient::new(OwnedFd::try_from(left).unwrap().try_into().unwrap());
    let end: ServiceEnd<Few> = OwnedFd::try_from(right).unwrap().try_into().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| Few::serve(Old, end));
        let beside = client.start_echo(7);
        assert!(matches!(client.added("text".into()), Err(CallError::UnknownMethod)));
        assert_eq!(beside.wait().unwrap(), 7);
        assert_eq!(client.echo(8).unwrap(), 8);
        drop(client);
        served.join().unwrap().unwrap();
    });
}

fn a_difference_between_two_programs_names_the_method() {
    mod here {
        #[breezeway::protocol]
        pub(super) trait Store {
            fn get(key: String) -> u64;
            fn old();
        }
    }
    mod there {
        #[breezeway::protocol]
        pub(super) trait Store {
            fn get(key: Vec<u8>) -> u32;
            fn new_one();
        }
    }
    use breezeway::protocol::{Request, Response};
    fn difference<A: Message, B: Message>() -> String {
        schema::first_difference(&A::schema().tree(), &B::schema().tree()).unwrap().to_string()
    }
    let asked = difference::<Request<here::StoreRequest>, Request<there::StoreRequest>>();
    assert_eq!(asked, "StoreRequest::get.key: String here, Vec<u8> there");
    let answered = difference::<Response<here::StoreReply>, Response<there::StoreReply>>();
    assert_eq!(answered, "StoreReply::get.0: u64 here, u32 there");
    assert_eq!(Request::<here::StoreRequest>::NAME, "StoreRequest");
}

/// A protocol whose clients are called back.
mod callback {
    #[breezeway::protocol]
    pub(super) trait Listener {
        fn heard(number: u32) -> u32;
    }
    #[breezeway::protocol]
    pub(super) trait Speaker {
        fn listen(listener: ListenerClient) -> u32;
    }
}

use callback::{Listener, ListenerClient, ListenerService, Speaker, SpeakerService};

struct Ear;

impl ListenerService for Ear {
    fn heard(&self, _: &Call<'_>, number: u32) -> u32 {
        number + 1
    }
}

struct Mouth;

impl SpeakerService for Mouth {
    fn listen(&self, _: &Call<'_>, listener: ListenerClient) -> u32 {
        listener.heard(41).unwrap()
    }
}

fn a_client_travels_as_an_argument() {
    let speaker = Speaker::in_process(Mouth).unwrap();
    let (listener, end) = Listener::pair().unwrap();
    thread::scope(|scope| {
        let served = scope.spawn(|| Listener::serve(Ear, end));
        assert_eq!(speaker.listen(listener).unwrap(), 42);
        served.join().unwrap().unwrap();
    });
}

/// A protocol whose answers are conversations of their own.
mod desk {
    use super::callback::ListenerClient;
    use breezeway::{Channel, Receiver};

    #[breezeway::protocol]
    pub(super) trait Desk {
        /// A service of another protocol, for this caller alone.
        fn listener() -> ListenerClient;
        fn line() -> Result<Channel<u32, String>, String>;
        /// Sends back what it receives on the one, until that ends.
        fn copy(from: Receiver<u32>, to: Channel<u32, ()>);
    }
}

#[derive(Default)]
struct Clerk {
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl desk::DeskService for Clerk {
    fn listener(&self, _: &Call<'_>) -> ListenerClient {
        let (client, end) = Listener::pair().unwrap();
        self.threads.lock().unwrap().push(thread::spawn(|| Listener::serve(Ear, end).unwrap()));
        client
    }

    fn line(&self, _: &Call<'_>) -> Result<Channel<u32, String>, String> {
        let (theirs, ours) = Channel::pair().map_err(|error| error.to_string())?;
        self.threads.lock().unwrap().push(thread::spawn(move || {
            ours.iter().for_each(|number: Result<u32, _>| ours.send(number.unwrap().to_string()).unwrap());
        }));
        Ok(theirs)
    }

    fn copy(&self, _: &Call<'_>, from: breezeway::Receiver<u32>, to: Channel<u32, ()>) {
        from.iter().for_each(|number| to.send(number.unwrap()).unwrap());
    }
}

fn clients_and_channels_travel_as_results() {
    let ledger = FdLedger::open().unwrap();
    let clerk = Arc::new(Clerk::default());
    let desk = desk::Desk::in_process(Arc::clone(&clerk)).unwrap();
    let listener = desk.listener().unwrap();
    assert_eq!(listener.heard(1).unwrap(), 2);
    let line = desk.line().unwrap();
    line.send(7).unwrap();
    assert_eq!(line.recv().unwrap(), "7");
    let (sender, from) = channel::<u32>().unwrap();
    let (here, to) = Channel::<(), u32>::pair().unwrap();
    (1..=3).for_each(|number| sender.send(number).unwrap());
    drop(sender);
    desk.copy(from, to).unwrap();
    assert_eq!(here.iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
    drop((listener, line, here, desk));
    std::mem::take(&mut *clerk.threads.lock().unwrap()).into_iter().for_each(|thread| thread.join().unwrap());
    settled(&ledger);
}

fn a_client_with_copies_does_not_travel() {
    let speaker = Speaker::in_process(Mouth).unwrap();
    let (listener, _end) = Listener::pair().unwrap();
    let copy = listener.clone();
    assert!(matches!(speaker.listen(listener), Err(CallError::NotSent(SendTimeoutError::Fault((), _)))));
    let pending = copy.start_heard(1);
    assert!(matches!(speaker.listen(copy), Err(CallError::NotSent(SendTimeoutError::Fault((), _)))));
    drop(pending);
}

fn a_stream_ends_when_it_is_finished() {
    let (store, _) = store();
    let ledger = FdLedger::open().unwrap();
    let mut numbers = store.count(1_000).unwrap();
    assert_eq!(numbers.by_ref().map(Result::unwrap).sum::<u32>(), 499_500);
    assert!(numbers.next().is_none() && numbers.try_next().unwrap().is_none());
    drop(numbers);
    settled(&ledger);
}

fn a_stream_that_breaks_off_is_an_error() {
    let (store, _) = store();
    let mut numbers = store.count(1).unwrap();
    assert!(matches!(numbers.next(), Some(Err(StreamError::Broken))));
    assert!(numbers.next().is_none());
    let (feed, mut values) = stream::<u32>().unwrap();
    assert!(matches!(values.next_timeout(Duration::ZERO), Err(StreamError::TimedOut)));
    feed.send(1).unwrap();
    drop(feed);
    assert_eq!(values.next_deadline(Instant::now()).unwrap(), Some(1));
    assert!(matches!(values.try_next(), Err(StreamError::Broken)));
}

fn a_streams_own_error_has_its_type() {
    let (store, _) = store();
    let mut numbers = store.count(0).unwrap();
    assert!(matches!(numbers.next(), Some(Err(StreamError::Failed(NotOpened(text)))) if text == "nothing to count"));
    assert!(numbers.next().is_none());
}

fn a_stream_that_is_dropped_stops_its_feed() {
    let (feed, values) = stream::<u32>().unwrap();
    drop(values);
    assert!(feed.is_closed());
    assert!(feed.send(7).unwrap_err().is_closed());
}

fn a_million_items_with_a_slow_reader_take_no_memory() {
    const ITEMS: u32 = 1_000_000;
    /// How much more memory the feeding process may have in the end, bytes. Chosen: a queue of a million would take 100 times as much.
    const BOUND: usize = 8 << 20;
    more_time(Duration::from_secs(300));
    let (left, right) = Channel::<u8, u8>::pair().unwrap();
    let reader = ForkedProcess::spawn(move |parent: Channel<u64, u8>| {
        let store = StoreClient::new(OwnedFd::try_from(left).unwrap().try_into().unwrap());
        // Slow: for each value it asks the parent for another call's answer, every now and then.
        let mut sum = 0;
        for value in store.count(ITEMS).unwrap() {
            let value = value.unwrap();
            if value % 10_000 == 0 {
                assert_eq!(store.echo(u64::from(value)).unwrap(), u64::from(value));
            }
            sum += u64::from(std::hint::black_box(value));
        }
        parent.send(sum).unwrap();
    });
    let reader = reader.unwrap();
    let before = support::resident_bytes();
    let largest = Arc::new(AtomicUsize::new(before));
    let (stop, stopped) = mpsc::channel::<()>();
    let watcher = thread::spawn({
        let largest = Arc::clone(&largest);
        move || {
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                largest.fetch_max(support::resident_bytes(), Ordering::Relaxed);
                thread::yield_now();
            }
        }
    });
    let end: ServiceEnd<Store> = OwnedFd::try_from(right).unwrap().try_into().unwrap();
    Store::serve(Mine::default(), end).unwrap();
    assert_eq!(reader.recv().unwrap(), u64::from(ITEMS) * u64::from(ITEMS - 1) / 2);
    drop(stop);
    watcher.join().unwrap();
    let grown = largest.load(Ordering::Relaxed) - before;
    println!("{ITEMS} items, {grown} bytes more in memory at most");
    assert!(grown < BOUND, "{grown}");
    // The control: so much is noticed.
    let control = std::hint::black_box(vec![1_u8; 2 * BOUND]);
    assert!(support::resident_bytes() - before > BOUND);
    drop(control);
}

fn the_messages_of_a_protocol_are_ordinary_enums() {
    let request = StoreRequest::Get { key: "a".into() };
    assert_eq!(format!("{request:?}"), r#"Get { key: "a" }"#);
    let reply = StoreReply::Get(None);
    assert!(matches!(reply, StoreReply::Get(None)));
    assert_eq!(StoreRequest::NAME, "StoreRequest");
    assert!(StoreRequest::schema().canonical_text().starts_with(r#"enum{"echo"{"value":u64},"get"{"key":string},"open"{"path":bytes}"#));
    assert!(StoreReply::schema().canonical_text().contains(r#""flush","count"(receiver(enum{"next"(u32),"finished","failed"(string)}))"#));
}

/// xorshift64, by Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
