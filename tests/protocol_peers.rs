//! Calls with a peer that lies, dies or does not read: `docs/protocols.md` from the other side, and what is left afterwards.

mod support;

use breezeway::process::ForkedProcess;
use breezeway::protocol::{Call, CallError, CallFault, ClientEnd, Feed, Reply, ServiceEnd, Stream};
use breezeway::testing::{FdLedger, RawPeer, packet};
use breezeway::{Channel, Message, TrySendError};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{more_time, no_descriptor_limit, open_numbers, set_limit, some_file};

trials!(
    the_bytes_are_those_of_the_specification,
    what_travels_is_what_another_program_would_declare,
    an_unknown_method_is_answered_as_such,
    a_call_that_does_not_decode_is_answered_with_the_reason,
    a_number_in_use_is_refused_and_the_first_call_answered,
    what_is_no_call_changes_nothing,
    a_call_whose_descriptors_were_lost_does_not_wait_for_ever,
    a_client_that_never_reads_costs_a_bounded_amount,
    a_client_that_never_reads_does_not_hold_up_a_stop,
    answers_that_nobody_asked_for_are_dropped_with_their_descriptors,
    an_answer_to_another_method_is_an_error_at_its_caller,
    an_answer_that_does_not_decode_is_an_error_at_its_caller,
    a_packet_that_is_no_answer_is_an_error_at_every_caller,
    a_service_that_never_stops_sending_keeps_no_caller_beyond_its_time,
    a_client_that_never_stops_cancelling_keeps_no_handler,
    a_killed_service_gives_every_caller_its_error,
    a_killed_client_leaves_nothing,
    a_panic_while_decoding_is_its_callers,
    a_panic_while_encoding_is_its_callers,
    calls_that_come_in_one_packet_are_answered,
    answers_that_come_in_one_packet_reach_their_callers,
);

#[breezeway::protocol(derive(Debug))]
trait Store {
    fn echo(value: u64) -> u64;
    fn text(text: String) -> u64;
    #[oneway]
    fn note(line: u64);
    fn take(file: File) -> u64;
    #[later]
    fn keep(file: File) -> File;
    fn numbers() -> Stream<u64>;
    /// Asks many times whether it is wanted.
    fn look();
}

/// The number of `added`, which the service lacks.
const UNKNOWN: u32 = 7;

#[derive(Default)]
struct Mine {
    kept: Mutex<Vec<(File, Reply<Store, File>)>>,
    notes: AtomicUsize,
}

impl StoreService for Mine {
    fn echo(&self, _: &Call<'_>, value: u64) -> u64 {
        value
    }

    fn text(&self, _: &Call<'_>, text: String) -> u64 {
        text.len() as u64
    }

    fn note(&self, _: &Call<'_>, _: u64) {
        self.notes.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self, _: &Call<'_>, file: File) -> u64 {
        file.metadata().unwrap().len()
    }

    fn keep(&self, _: &Call<'_>, file: File, reply: Reply<Store, File>) {
        self.kept.lock().unwrap().push((file, reply));
    }

    fn numbers(&self, _: &Call<'_>, feed: Feed<u64>) {
        thread::spawn(move || (0..).all(|number| feed.send(number).is_ok()));
    }

    fn look(&self, call: &Call<'_>) {
        assert!((0..100).all(|_| call.is_wanted()));
    }
}

/// What a request is, as another program would declare it.
#[derive(Message)]
enum RawRequest {
    Call { id: u64, remaining: Option<Duration>, request: StoreRequest },
    OneWay { request: StoreRequest },
    Cancel { id: u64 },
}

#[derive(Message, Debug)]
struct RawResponse {
    id: u64,
    outcome: Result<StoreReply, CallFault>,
}

fn call(id: u64, request: StoreRequest) -> RawRequest {
    RawRequest::Call { id, remaining: None, request }
}

/// A service's end, and a client that is none of ours.
fn raw_client() -> (Channel<RawRequest, RawResponse>, ServiceEnd<Store>) {
    let (left, right) = Channel::<u8>::pair().unwrap();
    (OwnedFd::try_from(left).unwrap().try_into().unwrap(), OwnedFd::try_from(right).unwrap().try_into().unwrap())
}

/// A client, and a service that is none of ours.
fn raw_service() -> (StoreClient, Channel<RawResponse, RawRequest>) {
    let (left, right) = Channel::<u8>::pair().unwrap();
    let end: ClientEnd<Store> = OwnedFd::try_from(left).unwrap().try_into().unwrap();
    (StoreClient::new(end), OwnedFd::try_from(right).unwrap().try_into().unwrap())
}

/// Serves while `with` runs, which has to close the client's end.
fn served<C>(client: C, end: ServiceEnd<Store>, service: &Mine, with: impl FnOnce(C)) {
    thread::scope(|scope| {
        let serving = scope.spawn(|| Store::serve(service, end));
        with(client);
        serving.join().unwrap().unwrap();
    });
}

fn echoes(client: &Channel<RawRequest, RawResponse>, id: u64) {
    client.send(call(id, StoreRequest::Echo { value: id })).unwrap();
    let answer = client.recv().unwrap();
    assert!(matches!(answer, RawResponse { outcome: Ok(StoreReply::Echo(value)), .. } if value == id && answer.id == id), "{answer:?}");
}

fn the_bytes_are_those_of_the_specification() {
    let (peer, end) = RawPeer::of_channel::<_, _>().unwrap();
    served(peer, end, &Mine::default(), |peer| {
        // A call, number 7, with 2 s and 3 ns, of the first method, with 258.
        let mut body = vec![0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1];
        body.extend([2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
        body.extend([0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        peer.send(&packet(&body, &[], 0), &[]).unwrap();
        let mut answer = vec![7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        answer.extend([0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(peer.receive().unwrap().unwrap().bytes, packet(&answer, &[], 0));
        // Without an answer: the third method. Then the cancellation of a call that is not there.
        peer.send(&packet(&[1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &[], 0), &[]).unwrap();
        peer.send(&packet(&[2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0], &[], 0), &[]).unwrap();
        // A method that is not there, and its answer: the first of the faults.
        peer.send(&packet(&[0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0], &[], 0), &[]).unwrap();
        let answer = [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(peer.receive().unwrap().unwrap().bytes, packet(&answer, &[], 0));
    });
}

fn what_travels_is_what_another_program_would_declare() {
    use breezeway::protocol::{Request, Response};
    assert_eq!(Request::<StoreRequest>::schema().canonical_text(), {
        let method = StoreRequest::schema().canonical_text();
        format!(
            r#"enum{{"call"{{"id":u64,"remaining":option(Duration),"request":{method}}},"one_way"{{"request":^2}},"cancel"{{"id":u64}}}}"#
        )
    });
    assert_eq!(Response::<StoreReply>::fingerprint(), RawResponse::fingerprint());
}

fn an_unknown_method_is_answered_as_such() {
    let ledger = FdLedger::open().unwrap();
    let (peer, end) = RawPeer::of_channel::<_, _>().unwrap();
    served(peer, end, &Mine::default(), |peer| {
        // With an argument that is a file, which is closed.
        let body = [[0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0].as_slice(), &UNKNOWN.to_le_bytes(), &[0; 4]].concat();
        let file = some_file();
        peer.send(&packet(&body, &[], 1), &[file.as_fd()]).unwrap();
        drop(file);
        let answer = peer.receive().unwrap().unwrap().bytes;
        assert_eq!(answer, packet(&[8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], &[], 0));
    });
    ledger.check().unwrap();
}

fn a_call_that_does_not_decode_is_answered_with_the_reason() {
    let (peer, end) = RawPeer::of_channel::<_, _>().unwrap();
    served(peer, end, &Mine::default(), |peer| {
        // Text whose length goes beyond the end.
        let body = [[0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0].as_slice(), &u64::MAX.to_le_bytes()].concat();
        peer.send(&packet(&body, &[], 0), &[]).unwrap();
        let answer = peer.receive().unwrap().unwrap().bytes;
        assert_eq!(answer[16..32], [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        let text = String::from_utf8(answer[40..].to_vec()).unwrap();
        assert!(text.contains("too early"), "{text}");
    });
}

fn a_number_in_use_is_refused_and_the_first_call_answered() {
    let (client, end) = raw_client();
    let mine = Mine::default();
    served(client, end, &mine, |client| {
        client.send(call(5, StoreRequest::Keep { file: some_file() })).unwrap();
        client.send(call(5, StoreRequest::Echo { value: 1 })).unwrap();
        let refused = client.recv().unwrap();
        assert!(matches!(refused, RawResponse { id: 5, outcome: Err(CallFault::Malformed(_)) }), "{refused:?}");
        mine.kept.lock().unwrap().drain(..).for_each(|(file, reply)| reply.send(file));
        assert!(matches!(client.recv().unwrap(), RawResponse { id: 5, outcome: Ok(StoreReply::Keep(_)) }));
        echoes(&client, 5);
        client.send(call(0, StoreRequest::Echo { value: 1 })).unwrap();
        let refused = client.recv().unwrap();
        assert!(matches!(refused, RawResponse { id: 0, outcome: Err(CallFault::Malformed(_)) }), "{refused:?}");
    });
}

fn what_is_no_call_changes_nothing() {
    let (client, end) = raw_client();
    let mine = Mine::default();
    served(client, end, &mine, |client| {
        client.send(RawRequest::Cancel { id: 99 }).unwrap();
        // An answer is not wanted, and one is where there is none.
        client.send(RawRequest::OneWay { request: StoreRequest::Echo { value: 1 } }).unwrap();
        client.send(RawRequest::OneWay { request: StoreRequest::Keep { file: some_file() } }).unwrap();
        client.send(RawRequest::OneWay { request: StoreRequest::Numbers }).unwrap();
        client.send(call(1, StoreRequest::Note { line: 1 })).unwrap();
        let unanswered = client.recv().unwrap();
        assert!(matches!(unanswered, RawResponse { id: 1, outcome: Err(CallFault::Unanswered) }), "{unanswered:?}");
        // A packet that is none of ours: nobody knows whose call it was.
        let socket = client.as_fd().try_clone_to_owned().unwrap();
        let socket = breezeway::socket::Socket::try_from(socket).unwrap();
        socket.send_packet(&[std::io::IoSlice::new(b"nonsense")], &[]).unwrap();
        let told = client.recv().unwrap();
        assert!(matches!(told, RawResponse { id: 0, outcome: Err(CallFault::Malformed(_)) }), "{told:?}");
        drop(socket);
        mine.kept.lock().unwrap().drain(..).for_each(|(file, reply)| reply.send(file));
        echoes(&client, u64::MAX);
    });
    assert_eq!(mine.notes.load(Ordering::Relaxed), 1);
}

fn a_call_whose_descriptors_were_lost_does_not_wait_for_ever() {
    let (client, end) = Store::pair().unwrap();
    let (ready, go) = Channel::<u8>::pair().unwrap();
    let caller = ForkedProcess::<(), bool>::spawn(move |parent: Channel<bool, ()>| {
        no_descriptor_limit();
        go.recv().unwrap();
        let lost = client.take(some_file());
        assert!(matches!(lost, Err(CallError::Malformed(_))), "{lost:?}");
        // Without a descriptor it works.
        parent.send(client.echo(1).unwrap() == 1).unwrap();
    });
    let caller = caller.unwrap();
    // As many as are open, and no more.
    let most = open_numbers().into_iter().max().unwrap() as u64 + 1;
    set_limit(libc::RLIMIT_NOFILE, most);
    let fill: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    ready.send(1).unwrap();
    Store::serve(Mine::default(), end).unwrap();
    no_descriptor_limit();
    drop(fill);
    assert!(caller.recv().unwrap());
    assert!(caller.wait().unwrap().success());
}

fn a_client_that_never_reads_costs_a_bounded_amount() {
    /// How much more memory the service may have, bytes: its queue ahead, one answer for each open call, and what the kernel's
    /// pages of the test itself are. Chosen: a million answers would be 100 times as much.
    const BOUND: usize = 8 << 20;
    more_time(Duration::from_secs(60));
    let mine = Mine::default();
    let server = Store::server(&mine);
    let (hostile, end) = raw_client();
    let (honest, other_end) = Store::pair().unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve(end));
        let beside = scope.spawn(|| server.serve(other_end));
        assert_eq!(honest.echo(0).unwrap(), 0);
        let before = support::resident_bytes();
        // A million, or until nothing is taken any more.
        let mut full = 0;
        for id in 1..=1_000_000 {
            match hostile.try_send(call(id, StoreRequest::Echo { value: id })) {
                Ok(()) => full = 0,
                Err(TrySendError::Full(_)) => full += 1,
                Err(error) => panic!("{error}"),
            }
            if full > 1_000 {
                break;
            }
            if full > 0 {
                // The service has had the time to answer another, and so to do what it can here.
                assert_eq!(honest.echo(id).unwrap(), id);
            }
        }
        assert!(full > 1_000, "the service read all that was sent");
        let grown = support::resident_bytes().saturating_sub(before);
        println!("{grown} bytes more");
        assert!(grown < BOUND, "{grown}");
        // The control: so much is noticed.
        let control = std::hint::black_box(vec![1_u8; 2 * BOUND]);
        assert!(support::resident_bytes() - before > BOUND);
        drop(control);
        drop(hostile);
        serving.join().unwrap().unwrap();
        assert_eq!(honest.echo(7).unwrap(), 7);
        drop(honest);
        beside.join().unwrap().unwrap();
    });
}

fn a_client_that_never_reads_does_not_hold_up_a_stop() {
    for threads in [1, 2] {
        let mine = Mine::default();
        let server = Store::server(&mine);
        let server = if threads == 1 { server } else { server.threads(NonZeroUsize::new(threads).unwrap()) };
        let (hostile, end) = raw_client();
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve(end));
            let mut full = 0;
            let mut id = 0;
            while full < 1_000 {
                id += 1;
                full = if hostile.try_send(call(id, StoreRequest::Echo { value: id })).is_ok() { 0 } else { full + 1 };
                thread::yield_now();
            }
            server.stop_handle().stop(Duration::from_millis(20));
            serving.join().unwrap().unwrap();
        });
    }
}

fn answers_that_nobody_asked_for_are_dropped_with_their_descriptors() {
    let (client, service) = raw_service();
    let ledger = FdLedger::open().unwrap();
    let pending = client.start_echo(7);
    let RawRequest::Call { id, .. } = service.recv().unwrap() else { panic!("no call") };
    service.send(RawResponse { id: 99, outcome: Ok(StoreReply::Keep(some_file())) }).unwrap();
    service.send(RawResponse { id, outcome: Ok(StoreReply::Echo(8)) }).unwrap();
    service.send(RawResponse { id, outcome: Ok(StoreReply::Keep(some_file())) }).unwrap();
    assert_eq!(pending.wait().unwrap(), 8);
    let again = client.start_echo(7);
    let RawRequest::Call { id, .. } = service.recv().unwrap() else { panic!("no call") };
    service.send(RawResponse { id, outcome: Ok(StoreReply::Echo(9)) }).unwrap();
    assert_eq!(again.wait().unwrap(), 9);
    ledger.check().unwrap();
}

fn an_answer_to_another_method_is_an_error_at_its_caller() {
    let (client, service) = raw_service();
    let ledger = FdLedger::open().unwrap();
    let pending = client.start_echo(7);
    let RawRequest::Call { id, .. } = service.recv().unwrap() else { panic!("no call") };
    service.send(RawResponse { id, outcome: Ok(StoreReply::Keep(some_file())) }).unwrap();
    assert!(matches!(pending.wait(), Err(CallError::Mismatched)));
    ledger.check().unwrap();
}

fn an_answer_that_does_not_decode_is_an_error_at_its_caller() {
    let (left, right) = Channel::<u8>::pair().unwrap();
    let client = StoreClient::new(OwnedFd::try_from(left).unwrap().try_into().unwrap());
    let service = breezeway::socket::Socket::try_from(OwnedFd::try_from(right).unwrap()).unwrap();
    let [first, second] = [1, 2].map(|value| client.start_echo(value));
    // To the first, a variant that is not there; to the second, what it asked for.
    for body in
        [&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0][..], &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]]
    {
        service.send_packet(&[std::io::IoSlice::new(&packet(body, &[], 0))], &[]).unwrap();
    }
    assert_eq!(second.wait().unwrap(), 2);
    assert!(matches!(first.wait(), Err(CallError::Fault(_))));
}

fn a_packet_that_is_no_answer_is_an_error_at_every_caller() {
    let (left, right) = Channel::<u8>::pair().unwrap();
    let client = StoreClient::new(OwnedFd::try_from(left).unwrap().try_into().unwrap());
    let service = breezeway::socket::Socket::try_from(OwnedFd::try_from(right).unwrap()).unwrap();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|value| {
                scope.spawn({
                    let client = &client;
                    move || client.echo(value)
                })
            })
            .collect();
        for _ in 0..4 {
            service.receive_packet(4096).unwrap().unwrap();
        }
        service.send_packet(&[std::io::IoSlice::new(b"nonsense")], &[]).unwrap();
        for caller in callers {
            assert!(matches!(caller.join().unwrap(), Err(CallError::Fault(_))));
        }
        // The client goes on.
        let call = client.start_echo(9);
        let answer = [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0];
        service.send_packet(&[std::io::IoSlice::new(&packet(&answer, &[], 0))], &[]).unwrap();
        assert_eq!(call.wait().unwrap(), 9);
    });
}

fn a_service_that_never_stops_sending_keeps_no_caller_beyond_its_time() {
    let (client, service) = raw_service();
    let over = &AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let _ = service.send_timeout(RawResponse { id: u64::MAX, outcome: Ok(StoreReply::Echo(1)) }, Duration::from_millis(1));
            }
        });
        let hasty = client.with_timeout(Duration::from_millis(20));
        assert!(hasty.echo(1).unwrap_err().is_timeout());
        assert!(client.start_echo(2).wait_timeout(Duration::from_millis(20)).is_err());
        // Nobody reads what it sends: first there is room, then there is none in time.
        let error = (0..).find_map(|line| hasty.note(line).err()).unwrap();
        assert!(error.is_timeout(), "{error:?}");
        over.store(true, Ordering::Relaxed);
        flood.join().unwrap();
    });
}

fn a_client_that_never_stops_cancelling_keeps_no_handler() {
    let (client, end) = raw_client();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| Store::serve(Mine::default(), end));
        let (requests, answers) = client.split();
        let flood = scope.spawn({
            let (requests, over) = (requests.clone(), &over);
            move || {
                while !over.load(Ordering::Relaxed) {
                    requests.send(RawRequest::Cancel { id: 7 }).unwrap();
                }
            }
        });
        for id in 100..110 {
            requests.send(call(id, StoreRequest::Look)).unwrap();
            assert!(matches!(answers.recv().unwrap(), RawResponse { outcome: Ok(StoreReply::Look), .. }));
        }
        over.store(true, Ordering::Relaxed);
        flood.join().unwrap();
        drop((requests, answers));
        serving.join().unwrap().unwrap();
    });
}

fn a_killed_service_gives_every_caller_its_error() {
    const SEED: u64 = 0x5eed_0006;
    println!("seed {SEED:#x}");
    more_time(Duration::from_secs(60));
    let mut random = SEED;
    for round in 0..30 {
        // A fork needs a process with one thread: all have been joined.
        let child =
            ForkedProcess::spawn(|end: ServiceEnd<Store>| Store::serve(Mine::default(), end).map_err(std::io::Error::from)).unwrap();
        let (channel, mut process) = child.into_parts();
        let client = StoreClient::new(channel);
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (client, answered) = (&client, &answered);
                scope.spawn(move || {
                    let error = loop {
                        // Half of them wait for what never comes.
                        let outcome = if thread % 2 == 0 { client.echo(1).map(drop) } else { client.keep(some_file()).map(drop) };
                        match outcome {
                            Ok(()) => answered.fetch_add(1, Ordering::Relaxed),
                            Err(error) => break error,
                        };
                    };
                    assert!(error.is_closed(), "{error:?}");
                });
            }
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            while answered.load(Ordering::Relaxed) < (random >> 33) as usize % 500 {
                thread::yield_now();
            }
            process.kill().unwrap();
        });
        assert!(matches!(client.echo(1), Err(error) if error.is_closed()), "round {round}");
        let _ = process.wait().unwrap();
    }
}

fn a_killed_client_leaves_nothing() {
    let mine = Arc::new(Mine::default());
    for threads in [1, 3] {
        let ledger = FdLedger::open().unwrap();
        let (client, end) = Store::pair().unwrap();
        let (far, near) = Channel::<u8>::pair().unwrap();
        let mut caller = ForkedProcess::<(), ()>::spawn(move |_| {
            let calls: Vec<_> = (0..10).map(|_| client.start_keep(some_file())).collect();
            let stream = client.numbers().unwrap();
            far.send(1).unwrap();
            // Killed here.
            let _ = far.recv();
            drop((calls, stream));
        })
        .unwrap();
        let server = Store::server(Arc::clone(&mine));
        let server = if threads == 1 { server } else { server.threads(NonZeroUsize::new(threads).unwrap()) };
        thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve(end));
            near.recv().unwrap();
            caller.kill().unwrap();
            serving.join().unwrap().unwrap();
        });
        drop((near, caller));
        let kept = std::mem::take(&mut *mine.kept.lock().unwrap());
        assert_eq!(kept.len(), 10);
        assert!(kept.iter().all(|(_, reply)| !reply.is_wanted()));
        kept.into_iter().for_each(|(file, reply)| reply.send(file));
        // The feed of the stream ends by itself, in its thread.
        while ledger.check().is_err() {
            thread::yield_now();
        }
        ledger.check().unwrap();
    }
}

mod touchy {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Panics where 13 is encoded or decoded.
    #[derive(Debug, PartialEq)]
    pub(super) struct Touchy(pub(super) u32, pub(super) bool);

    impl Serialize for Touchy {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(!self.1, "not sent");
            serializer.serialize_u32(self.0)
        }
    }

    impl<'de> Deserialize<'de> for Touchy {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Touchy, D::Error> {
            let number = u32::deserialize(deserializer)?;
            assert_ne!(number, 13, "not received");
            Ok(Touchy(number, false))
        }
    }

    #[derive(breezeway::Message, Debug, PartialEq)]
    pub(super) struct Value(#[message(opaque = "v1")] pub(super) Touchy);

    #[breezeway::protocol]
    pub(super) trait Touch {
        fn touch(value: Value) -> u32;
        fn give(number: u32, panic: bool) -> Value;
    }

    pub(super) struct Giver;

    impl TouchService for Giver {
        fn touch(&self, _: &super::Call<'_>, value: Value) -> u32 {
            value.0.0
        }

        fn give(&self, _: &super::Call<'_>, number: u32, panic: bool) -> Value {
            Value(Touchy(number, panic))
        }
    }
}

fn a_panic_while_decoding_is_its_callers() {
    use touchy::{Giver, Touch, Touchy, Value};
    let client = Touch::in_process(Giver).unwrap();
    let error = client.touch(Value(Touchy(13, false))).unwrap_err();
    assert!(matches!(&error, CallError::Panicked(text) if text.contains("not received")), "{error:?}");
    assert_eq!(client.touch(Value(Touchy(12, false))).unwrap(), 12);
    // In the client's own thread it is a panic, and the next caller receives.
    thread::scope(|scope| assert!(scope.spawn(|| client.give(13, false)).join().is_err()));
    assert_eq!(client.give(12, false).unwrap(), Value(Touchy(12, false)));
}

fn a_panic_while_encoding_is_its_callers() {
    use touchy::{Giver, Touch, Touchy, Value};
    let client = Touch::in_process(Giver).unwrap();
    let error = client.give(1, true).unwrap_err();
    assert!(matches!(&error, CallError::Panicked(text) if text.contains("not sent")), "{error:?}");
    thread::scope(|scope| assert!(scope.spawn(|| client.touch(Value(Touchy(1, true)))).join().is_err()));
    assert_eq!(client.touch(Value(Touchy(12, false))).unwrap(), 12);
}

/// A peer may send many messages at once, which this library's own clients and services do not.
fn calls_that_come_in_one_packet_are_answered() {
    let ask = |client: Channel<RawRequest, RawResponse>| {
        // Alone, and while another is open, for which the service also waits.
        for kept in [None, Some(some_file())] {
            let open = kept.is_some();
            kept.into_iter().for_each(|file| client.send(call(1000, StoreRequest::Keep { file })).unwrap());
            let calls = (1..=100).map(|id| call(id, StoreRequest::Echo { value: id }));
            assert_eq!(client.send_all(calls).unwrap(), 100);
            let mut answered: Vec<_> = (0..100).map(|_| client.recv().unwrap()).map(|answer| (answer.id, answer.outcome.is_ok())).collect();
            answered.sort_unstable();
            assert_eq!(answered, (1..=100).map(|id| (id, true)).collect::<Vec<_>>());
            if open {
                client.send(RawRequest::Cancel { id: 1000 }).unwrap();
            }
        }
    };
    let (client, end) = raw_client();
    served(client, end, &Mine::default(), ask);
    let (client, end) = raw_client();
    let mine = Mine::default();
    thread::scope(|scope| {
        let server = Store::server(&mine).threads(NonZeroUsize::new(3).unwrap());
        let serving = scope.spawn(move || server.serve(end));
        ask(client);
        serving.join().unwrap().unwrap();
    });
}

fn answers_that_come_in_one_packet_reach_their_callers() {
    let (client, service) = raw_service();
    let calls: Vec<_> = (0..10).map(|value| client.start_echo(value)).collect();
    let answers: Vec<_> = (0..10)
        .map(|_| match service.recv().unwrap() {
            RawRequest::Call { id, request: StoreRequest::Echo { value }, .. } => RawResponse { id, outcome: Ok(StoreReply::Echo(value)) },
            _ => panic!("another request"),
        })
        .collect();
    // The first caller receives for all.
    assert_eq!(service.send_all(answers.into_iter().rev()).unwrap(), 10);
    for (value, call) in (0..10).zip(calls) {
        assert_eq!(call.wait().unwrap(), value);
    }
}
