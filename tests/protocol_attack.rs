//! A service and a client that are sent whatever there is: bytes, packets, and messages as they should be that mean nothing. After each, the next
//! good call is answered.

mod support;

use breezeway::protocol::{self, Call, CallFault, ClientEnd, Feed, Reply, ServiceEnd, Stream};
use breezeway::socket::Socket;
use breezeway::testing::{FdLedger, packet};
use breezeway::{Channel, Message};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::IoSlice;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use support::{more_time, some_file};

trials!(
    a_service_that_is_sent_anything_answers_the_next_call,
    a_service_with_threads_that_is_sent_anything_answers_the_next_call,
    a_client_that_is_sent_anything_gets_its_next_answer,
);

#[breezeway::protocol(derive(Debug))]
trait Store {
    fn echo(value: u64) -> u64;
    fn names(names: Vec<Option<String>>) -> Result<Vec<String>, u8>;
    #[oneway]
    fn note(line: String);
    fn take(file: File) -> File;
    #[later]
    fn keep(file: Option<File>) -> Vec<u8>;
    fn numbers(to: u8) -> Stream<u8>;
}

#[derive(Default)]
struct Mine {
    kept: Mutex<Vec<Reply<Store, Vec<u8>>>>,
    /// The methods that were called, one of which is that of the good calls.
    called: Mutex<BTreeSet<&'static str>>,
}

impl Mine {
    fn called(&self, method: &'static str) {
        self.called.lock().unwrap().insert(method);
    }
}

impl StoreService for Mine {
    fn echo(&self, _: &Call<'_>, value: u64) -> u64 {
        self.called("echo");
        value
    }

    fn names(&self, _: &Call<'_>, names: Vec<Option<String>>) -> Result<Vec<String>, u8> {
        self.called("names");
        names.into_iter().collect::<Option<_>>().ok_or(1)
    }

    fn note(&self, _: &Call<'_>, _: String) {
        self.called("note");
    }

    fn take(&self, call: &Call<'_>, file: File) -> File {
        self.called("take");
        // Reads ahead.
        let _ = call.is_wanted();
        file
    }

    fn keep(&self, _: &Call<'_>, _: Option<File>, reply: Reply<Store, Vec<u8>>) {
        self.called("keep");
        let mut kept = self.kept.lock().unwrap();
        kept.push(reply);
        // Each is answered when the next has come.
        if kept.len() > 1 {
            kept.remove(0).send(vec![1]);
        }
    }

    fn numbers(&self, _: &Call<'_>, to: u8, feed: Feed<u8>) {
        self.called("numbers");
        let _ = (0..to).all(|number| feed.try_send(number).is_ok());
    }
}

#[derive(Message)]
enum RawRequest {
    Call { id: u64, remaining: Option<Duration>, request: StoreRequest },
    OneWay { request: StoreRequest },
    Cancel { id: u64 },
}

#[derive(Message)]
struct RawResponse {
    id: u64,
    outcome: Result<StoreReply, CallFault>,
}

/// Numbers that no attack uses.
const GOOD: u64 = 1 << 40;
/// More memory than a test may end with beyond what it began with, bytes. Chosen: what one attack sends is a thousandth of it.
const BOUND: usize = 32 << 20;

/// One thing that is sent.
#[derive(Clone, Debug)]
enum Hit {
    /// A packet, and how many descriptors with it.
    Packet(Vec<u8>, usize),
    /// A whole message, by its number and kind, with nothing wrong but what it stands for.
    Whole(u64, u8),
}

type Attack = Vec<Hit>;

/// One of a few values, so that they meet.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..6_u64, Just(u64::from(u32::MAX)), Just(GOOD - 1)]
}

/// Bytes as values are made of: counts, tags, texts.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(vec![]),
        (0..3_u8).prop_map(|byte| vec![byte]),
        (0..9_u32).prop_map(|tag| tag.to_le_bytes().to_vec()),
        number().prop_map(|count| count.to_le_bytes().to_vec()),
        "[a-z]{0,9}".prop_map(|text| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

/// Envelopes as a client sends them, or nearly.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let remaining = prop_oneof![
        Just(vec![0]),
        (0..3_u64, 0..2_000_000_000_u32).prop_map(|(seconds, nanos)| [&[1][..], &seconds.to_le_bytes(), &nanos.to_le_bytes()].concat()),
        Just([&[1][..], &u64::MAX.to_le_bytes(), &7_u32.to_le_bytes()].concat()),
    ];
    (0..4_u32, number(), remaining, 0..8_u32, value()).prop_map(|(kind, id, remaining, method, arguments)| {
        let head = match kind {
            0 => [&id.to_le_bytes()[..], &remaining].concat(),
            1 => vec![],
            _ => id.to_le_bytes().to_vec(),
        };
        let asked = if kind < 2 { [&method.to_le_bytes()[..], &arguments].concat() } else { vec![] };
        [&kind.to_le_bytes()[..], &head, &asked].concat()
    })
}

/// Envelopes as a service sends them, or nearly.
fn response() -> impl Strategy<Value = Vec<u8>> {
    (number(), 0..3_u32, 0..8_u32, value())
        .prop_map(|(id, outcome, which, value)| [&id.to_le_bytes()[..], &outcome.to_le_bytes(), &which.to_le_bytes(), &value].concat())
}

fn attack(envelope: impl Strategy<Value = Vec<u8>> + 'static) -> impl Strategy<Value = Attack> {
    let envelope = envelope.boxed();
    let body = (envelope, 0..3_usize).prop_map(|(body, descriptors)| (packet(&body, &[], descriptors as u16), descriptors));
    let one = prop_oneof![
        6 => body.clone(),
        // As many descriptors as were not announced, or not all of the packet.
        1 => (body.clone(), 0..3_usize).prop_map(|((bytes, _), descriptors)| (bytes, descriptors)),
        1 => (body, any::<prop::sample::Index>()).prop_map(|((bytes, descriptors), at)| (bytes[..=at.index(bytes.len())].to_vec(), descriptors)),
        1 => (prop::collection::vec(any::<u8>(), 1..200), 0..3_usize),
    ];
    let hit = prop_oneof![
        3 => one.prop_map(|(bytes, descriptors)| Hit::Packet(bytes, descriptors)),
        1 => (number(), 0..12_u8).prop_map(|(id, kind)| Hit::Whole(id, kind)),
    ];
    // No more than waits in a socket unread.
    prop::collection::vec(hit, 1..40)
}

fn send<T: Message>(socket: &mut Socket, attack: &Attack, whole: impl Fn(u64, u8) -> T) {
    let file = some_file();
    for hit in attack {
        match hit {
            Hit::Packet(bytes, descriptors) => {
                let descriptors: Vec<BorrowedFd<'_>> = (0..*descriptors).map(|_| file.as_fd()).collect();
                socket.send_packet(&[IoSlice::new(bytes)], &descriptors).unwrap();
            }
            Hit::Whole(id, kind) => socket.send(whole(*id, *kind)).unwrap(),
        }
    }
}

fn whole_request(id: u64, kind: u8) -> RawRequest {
    let request = match kind % 6 {
        0 => StoreRequest::Echo { value: id },
        1 => StoreRequest::Names { names: vec![Some("a".into()), None] },
        2 => StoreRequest::Note { line: "a line".into() },
        3 => StoreRequest::Take { file: some_file() },
        4 => StoreRequest::Keep { file: Some(some_file()) },
        _ => StoreRequest::Numbers { to: 9 },
    };
    match kind {
        0..6 => RawRequest::Call { id, remaining: Some(Duration::from_secs(id)), request },
        6..9 => RawRequest::OneWay { request },
        _ => RawRequest::Cancel { id },
    }
}

fn whole_response(id: u64, kind: u8) -> RawResponse {
    let outcome = match kind {
        0..3 => Ok(StoreReply::Echo(id)),
        3 => Ok(StoreReply::Take(some_file())),
        4 => Ok(StoreReply::Keep(vec![1; 100])),
        5 => Ok(StoreReply::Names(Err(1))),
        6 => Err(CallFault::UnknownMethod),
        7 => Err(CallFault::Malformed("so".into())),
        8 => Err(CallFault::Panicked("so".into())),
        9 => Err(CallFault::Unanswered),
        10 => Err(CallFault::Busy),
        _ => Err(CallFault::Unable("so".into())),
    };
    RawResponse { id, outcome }
}

/// What fails is printed, and no file kept of it.
fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) }
}

/// The two ends of a socket, of which one is used bare first.
fn bare() -> (Socket, OwnedFd) {
    let (left, right) = Channel::<u8>::pair().unwrap();
    (OwnedFd::try_from(left).unwrap().try_into().unwrap(), right.try_into().unwrap())
}

/// Counts panics, which none of this may cause, also where they are caught.
fn count_panics() -> Arc<AtomicUsize> {
    let panics = Arc::new(AtomicUsize::new(0));
    let (counter, before) = (Arc::clone(&panics), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| {
        counter.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    // The control.
    assert!(std::panic::catch_unwind(|| panic!("the control")).is_err());
    assert_eq!(panics.swap(0, Ordering::Relaxed), 1);
    panics
}

fn bounded(before: usize) {
    let grown = support::resident_bytes().saturating_sub(before);
    println!("{grown} bytes more");
    assert!(grown < BOUND, "{grown}");
}

fn settled(ledger: &FdLedger) {
    while ledger.check().is_err() {
        thread::yield_now();
    }
}

fn attack_service(threads: usize) {
    more_time(Duration::from_secs(120));
    let panics = count_panics();
    let mine = Arc::new(Mine::default());
    let ledger = FdLedger::open().unwrap();
    let (clients, arrivals) = protocol::clients::<Store>();
    let server = Store::server(Arc::clone(&mine)).threads(NonZeroUsize::new(threads).unwrap());
    let served = thread::spawn(move || server.serve_all(arrivals));
    let (honest, end) = Store::pair().unwrap();
    clients.add(end).unwrap();
    let before = support::resident_bytes();
    proptest!(cases(), |(attack in attack(request()))| {
        let (mut socket, end) = bare();
        clients.add(ServiceEnd::<Store>::try_from(end).unwrap()).unwrap();
        send(&mut socket, &attack, whole_request);
        // The same client, and another.
        let client: Channel<RawRequest, RawResponse> = OwnedFd::from(socket).try_into().unwrap();
        client.send(RawRequest::Call { id: GOOD, remaining: None, request: StoreRequest::Echo { value: 7 } }).unwrap();
        let answer = loop {
            match client.recv() {
                Ok(RawResponse { id: GOOD, outcome }) => break outcome,
                Ok(_) => {}
                Err(error) => prop_assert!(false, "{error:?}"),
            }
        };
        prop_assert!(matches!(answer, Ok(StoreReply::Echo(7))), "{answer:?}");
        prop_assert_eq!(honest.echo(8).unwrap(), 8);
        drop(client);
        prop_assert_eq!(panics.load(Ordering::Relaxed), 0);
    });
    bounded(before);
    // The control: some of it was as good as a call.
    assert_eq!(mine.called.lock().unwrap().len(), 6);
    drop((honest, clients));
    mine.kept.lock().unwrap().clear();
    served.join().unwrap().unwrap();
    mine.kept.lock().unwrap().clear();
    settled(&ledger);
    assert_eq!(panics.load(Ordering::Relaxed), 0);
}

fn a_service_that_is_sent_anything_answers_the_next_call() {
    attack_service(1);
}

fn a_service_with_threads_that_is_sent_anything_answers_the_next_call() {
    attack_service(3);
}

fn a_client_that_is_sent_anything_gets_its_next_answer() {
    more_time(Duration::from_secs(120));
    let panics = count_panics();
    let ledger = FdLedger::open().unwrap();
    let before = support::resident_bytes();
    let (forged, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    proptest!(cases(), |(attack in attack(response()))| {
        let (mut socket, end) = bare();
        let client = StoreClient::new(ClientEnd::<Store>::try_from(end).unwrap());
        // Of different kinds, numbered from 1: what is sent may be taken for their answers.
        let calls = (client.start_echo(1), client.start_names(vec![]), client.start_numbers(1), client.start_keep(None));
        let look = client.start_echo(2);
        send(&mut socket, &attack, whole_response);
        // Takes all that has come, which is less than a caller takes at once.
        match look.wait_timeout(Duration::ZERO) {
            Ok(Ok(_)) => forged.fetch_add(1, Ordering::Relaxed),
            Ok(Err(_)) => failed.fetch_add(1, Ordering::Relaxed),
            Err(_) => 0,
        };
        drop(calls);
        let service: Channel<RawResponse, RawRequest> = OwnedFd::from(socket).try_into().unwrap();
        let good = client.start_echo(GOOD);
        let id = loop {
            if let RawRequest::Call { id, request: StoreRequest::Echo { value: GOOD }, .. } = service.recv().unwrap() {
                break id;
            }
        };
        service.send(RawResponse { id, outcome: Ok(StoreReply::Echo(GOOD)) }).unwrap();
        prop_assert_eq!(good.wait().unwrap(), GOOD);
        prop_assert_eq!(panics.load(Ordering::Relaxed), 0);
    });
    bounded(before);
    // The control: some of it was as good as an answer, and some as good as a fault.
    assert!(forged.into_inner() > 0 && failed.into_inner() > 0);
    ledger.check().unwrap();
}
