//! One loop that serves many clients: they come and go, take turns, and harm nobody but themselves.

mod support;

use breezeway::process::ForkedProcess;
use breezeway::protocol::{self, Arrivals, Call, CallFault, ClientId, Clients, Reply, Server, ServiceEnd};
use breezeway::testing::FdLedger;
use breezeway::{Channel, Message, SystemError};
use std::fs::File;
use std::io::IoSlice;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::{more_time, some_file};

trials!(
    clients_that_were_there_before_are_served,
    clients_are_added_from_another_thread,
    clients_are_added_by_a_handler,
    clients_are_taken_from_a_channel,
    a_loop_without_clients_waits_for_those_who_may_bring_some,
    a_loop_that_is_over_gives_clients_back,
    clients_of_a_loop_that_never_runs_are_told,
    a_loop_in_a_fork_serves_what_was_added_before,
    who_floods_gets_one_turn_among_others,
    who_floods_a_handler_that_reads_ahead_gets_one_turn_among_others,
    sixty_four_clients_of_which_four_are_hostile,
    sixty_four_clients_of_which_four_are_hostile_with_threads,
    a_client_that_does_not_read_is_answered_when_it_does,
    answers_that_are_given_later_reach_their_clients,
    a_stopped_loop_answers_what_it_has_and_takes_no_more,
    a_stopped_loop_gives_up_at_its_deadline,
    a_loop_that_is_stopped_takes_nobody_from_a_channel,
    whoever_goes_is_told_of_once,
    a_panic_beyond_the_handler_ends_its_client_only,
    a_thousand_clients_that_come_and_go_leak_nothing,
);

#[breezeway::protocol(derive(Debug))]
trait Store {
    fn echo(value: u64) -> u64;
    fn who() -> u64;
    #[oneway]
    fn note(line: u64);
    /// Reads ahead.
    #[oneway]
    fn look();
    #[later]
    fn keep(file: File) -> File;
    /// One more client, brought by another.
    fn connect(end: ServiceEnd<Store>) -> bool;
    fn bomb() -> Bomb;
}

/// Its end is a panic in a thread that serves.
#[derive(Message, Debug)]
struct Bomb(u8);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert_ne!(thread::current().name(), Some("service"), "the answer's own destructor");
    }
}

#[derive(Default)]
struct Mine {
    kept: Mutex<Vec<(File, Reply<Store, File>)>>,
    /// Whose messages were handled, in order.
    handled: Mutex<Vec<ClientId>>,
    clients: Mutex<Option<Clients<Store>>>,
    gone: Mutex<Vec<ClientId>>,
}

impl StoreService for Mine {
    fn echo(&self, call: &Call<'_>, value: u64) -> u64 {
        self.handled.lock().unwrap().push(call.client());
        value
    }

    fn who(&self, call: &Call<'_>) -> u64 {
        call.client().to_string().parse().unwrap()
    }

    fn note(&self, call: &Call<'_>, _: u64) {
        self.handled.lock().unwrap().push(call.client());
    }

    fn look(&self, call: &Call<'_>) {
        assert!(call.is_wanted());
        self.handled.lock().unwrap().push(call.client());
    }

    fn keep(&self, _: &Call<'_>, file: File, reply: Reply<Store, File>) {
        self.kept.lock().unwrap().push((file, reply));
    }

    fn connect(&self, _: &Call<'_>, end: ServiceEnd<Store>) -> bool {
        self.clients.lock().unwrap().as_ref().unwrap().add(end).is_ok()
    }

    fn bomb(&self, _: &Call<'_>) -> Bomb {
        Bomb(1)
    }
}

impl Mine {
    fn kept(&self, count: usize) -> Vec<(File, Reply<Store, File>)> {
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

/// What another program would declare as a request.
#[derive(Message)]
enum RawRequest {
    Call {
        id: u64,
        remaining: Option<Duration>,
        request: StoreRequest,
    },
    OneWay {
        request: StoreRequest,
    },
    #[allow(dead_code, reason = "part of the format")]
    Cancel {
        id: u64,
    },
}

#[derive(Message, Debug)]
struct RawResponse {
    #[allow(dead_code, reason = "shown")]
    id: u64,
    outcome: Result<StoreReply, CallFault>,
}

type RawClient = Channel<RawRequest, RawResponse>;

fn call(id: u64, request: StoreRequest) -> RawRequest {
    RawRequest::Call { id, remaining: None, request }
}

/// A client that is none of ours, and its service's end.
fn raw() -> (RawClient, ServiceEnd<Store>) {
    let (left, right) = Channel::<u8>::pair().unwrap();
    (OwnedFd::try_from(left).unwrap().try_into().unwrap(), OwnedFd::try_from(right).unwrap().try_into().unwrap())
}

type Served = JoinHandle<Result<(), SystemError>>;

/// A thread that serves who arrives.
fn serve(server: Server<Store, Arc<Mine>>, arrivals: Arrivals<Store>) -> Served {
    thread::Builder::new().name("service".into()).spawn(move || server.serve_all(arrivals)).unwrap()
}

/// A service with a thread that serves, and one who brings clients.
fn start() -> (Arc<Mine>, Clients<Store>, Served) {
    let mine = Arc::new(Mine::default());
    let (clients, arrivals) = protocol::clients();
    let served = serve(Store::server(Arc::clone(&mine)), arrivals);
    (mine, clients, served)
}

fn add(clients: &Clients<Store>) -> StoreClient {
    let (client, end) = Store::pair().unwrap();
    clients.add(end).unwrap();
    client
}

fn ended(served: Served) {
    served.join().unwrap().unwrap();
}

fn settled(ledger: &FdLedger) {
    while ledger.check().is_err() {
        thread::yield_now();
    }
}

/// Sends until nothing is taken any more, although the service has had the time.
fn fill(client: &RawClient, witness: &StoreClient) -> u64 {
    let (mut sent, mut full) = (0, 0);
    while full < 100 {
        match client.try_send(call(sent + 1, StoreRequest::Echo { value: 1 })) {
            Ok(()) => (sent, full) = (sent + 1, 0),
            Err(_) => full += 1,
        }
        if full > 0 {
            assert_eq!(witness.echo(sent).unwrap(), sent);
        }
    }
    sent
}

fn clients_that_were_there_before_are_served() {
    let ledger = FdLedger::open().unwrap();
    let (clients, arrivals) = protocol::clients();
    let all: Vec<_> = (0..5).map(|_| add(&clients)).collect();
    let called: Vec<_> = (0..).zip(&all).map(|(value, client)| client.start_echo(value)).collect();
    drop(clients);
    let served = serve(Store::server(Arc::default()), arrivals);
    for (value, call) in (0..).zip(called) {
        assert_eq!(call.wait().unwrap(), value);
    }
    let numbers: Vec<_> = all.iter().map(|client| client.who().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    drop(all);
    ended(served);
    ledger.check().unwrap();
}

fn clients_are_added_from_another_thread() {
    let ledger = FdLedger::open().unwrap();
    let (_, clients, served) = start();
    thread::scope(|scope| {
        for thread in 0..8 {
            let clients = clients.clone();
            scope.spawn(move || {
                for round in 0..20 {
                    let client = add(&clients);
                    assert_eq!(client.echo(thread * 100 + round).unwrap(), thread * 100 + round);
                }
            });
        }
    });
    drop(clients);
    ended(served);
    ledger.check().unwrap();
}

fn clients_are_added_by_a_handler() {
    let ledger = FdLedger::open().unwrap();
    for threads in [1, 3] {
        let mine = Arc::new(Mine::default());
        let (clients, arrivals) = protocol::clients();
        // It holds one itself, which does not keep it waiting.
        *mine.clients.lock().unwrap() = Some(clients.weak().clone());
        let first = add(&clients);
        drop(clients);
        let server = Store::server(Arc::clone(&mine)).threads(NonZeroUsize::new(threads).unwrap());
        let served = serve(server, arrivals);
        let (second, end) = Store::pair().unwrap();
        assert!(first.connect(end).unwrap());
        drop(first);
        let (third, end) = Store::pair().unwrap();
        assert!(second.connect(end).unwrap());
        assert_eq!((second.echo(2).unwrap(), third.echo(3).unwrap()), (2, 3));
        drop((second, third));
        ended(served);
    }
    ledger.check().unwrap();
}

fn clients_are_taken_from_a_channel() {
    #[derive(Message)]
    struct Connect(ServiceEnd<Store>);
    let ledger = FdLedger::open().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (mine, clients, served) = start();

    let (connect, connections) = breezeway::channel::<Connect>().unwrap();
    let (receiver, ids) = (Mutex::new(connections), Arc::new(Mutex::new(Vec::new())));
    let taken = Arc::clone(&ids);
    let fd = std::os::fd::AsFd::as_fd(&*receiver.lock().unwrap()).try_clone_to_owned().unwrap();
    let take = move |clients: &Clients<Store>| match receiver.lock().unwrap().try_recv() {
        Ok(Connect(end)) => {
            taken.lock().unwrap().push(clients.add(end).unwrap());
            ControlFlow::Continue(())
        }
        Err(error) if error.is_closed() => ControlFlow::Break(()),
        Err(error) => panic!("{error}"),
    };
    clients.accept_from(fd, take).unwrap();

    // A listener whose connections are of the kind that our channels are is not in the standard library: a path of a stream will do to be called.
    let path = directory.path().join("listener");
    let listener = UnixListener::bind(&path).unwrap();
    let knocks = Arc::new(AtomicUsize::new(0));
    let knocked = Arc::clone(&knocks);
    let fd = listener.try_clone().unwrap();
    let accept = move |_: &Clients<Store>| {
        drop(listener.accept().unwrap());
        if knocked.fetch_add(1, Ordering::Relaxed) == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    clients.accept_from(fd, accept).unwrap();
    drop(clients);

    let all: Vec<_> = (0..3)
        .map(|value| {
            let (client, end) = Store::pair().unwrap();
            connect.send(Connect(end)).map_err(|_| "not sent").unwrap();
            assert_eq!(client.echo(value).unwrap(), value);
            client
        })
        .collect();
    assert_eq!(*ids.lock().unwrap(), *mine.handled.lock().unwrap());
    drop(all);
    drop(connect);
    for count in 1..=2 {
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        while knocks.load(Ordering::Relaxed) < count {
            thread::yield_now();
        }
    }
    // Neither brings any more.
    ended(served);
    ledger.check().unwrap();
}

fn a_loop_without_clients_waits_for_those_who_may_bring_some() {
    let (mine, clients, served) = start();
    let other = clients.clone();
    drop(add(&clients));
    drop(clients);
    let client = add(&other);
    assert_eq!(client.echo(1).unwrap(), 1);
    assert!(!served.is_finished());
    drop(other);
    assert_eq!(client.echo(2).unwrap(), 2);
    drop(client);
    ended(served);
    assert_eq!(mine.handled.lock().unwrap().len(), 2);
}

fn a_loop_that_is_over_gives_clients_back() {
    let (_, clients, served) = start();
    let weak = clients.weak();
    drop(clients);
    ended(served);
    let (client, end) = Store::pair().unwrap();
    let end = weak.add(end).unwrap_err();
    // It is whole.
    let other = thread::spawn(move || Store::serve(Arc::new(Mine::default()), end));
    assert_eq!(client.echo(1).unwrap(), 1);
    drop(client);
    other.join().unwrap().unwrap();
}

fn clients_of_a_loop_that_never_runs_are_told() {
    let ledger = FdLedger::open().unwrap();
    let (clients, arrivals) = protocol::clients();
    let client = add(&clients);
    let call = client.start_echo(1);
    drop(arrivals);
    assert!(call.wait().unwrap_err().is_closed());
    drop((client, clients));
    ledger.check().unwrap();
}

fn a_loop_in_a_fork_serves_what_was_added_before() {
    let (clients, arrivals) = protocol::clients();
    let all: Vec<_> = (0..3).map(|_| add(&clients)).collect();
    drop(clients);
    let inherited = all.clone();
    let child = ForkedProcess::<(), ()>::spawn(move |_| {
        // Its copies of the clients' ends.
        drop(inherited);
        Store::server(Arc::new(Mine::default())).serve_all(arrivals)
    });
    let mut child = child.unwrap();
    for (value, client) in (0..).zip(&all) {
        assert_eq!(client.echo(value).unwrap(), value);
    }
    // The fork has inherited the clients that stay here, so it would not end by itself.
    child.kill().unwrap();
    let _ = child.wait().unwrap();
    assert!(all.iter().all(|client| client.echo(1).unwrap_err().is_closed()));
}

/// One handler: of several, each may be kept from the processor with a call in its hands, for any number of the others'.
fn flood(with: fn() -> StoreRequest) {
    let mine = Arc::new(Mine::default());
    let (clients, arrivals) = protocol::clients();
    let mut flooding = Vec::new();
    for _ in 0..2 {
        let (client, end) = raw();
        clients.add(end).unwrap();
        while client.try_send(RawRequest::OneWay { request: with() }).is_ok() {}
        flooding.push(client);
    }
    let (honest, end) = raw();
    let number = clients.add(end).unwrap();
    (1..=50).for_each(|id| honest.send(call(id, StoreRequest::Echo { value: id })).unwrap());
    drop(clients);
    let served = serve(Store::server(Arc::clone(&mine)), arrivals);
    (1..=50).for_each(|_| assert!(honest.recv().unwrap().outcome.is_ok()));
    drop((honest, flooding));
    ended(served);
    let handled = mine.handled.lock().unwrap();
    let (mut waited, mut longest, mut seen) = (0, 0, 0);
    for client in &*handled {
        if *client == number {
            (waited, seen) = (0, seen + 1);
        } else if seen < 50 {
            waited += 1;
            longest = longest.max(waited);
        }
    }
    println!("at most {longest} messages of others, of {}", handled.len());
    assert_eq!(seen, 50);
    assert!(longest <= 2, "{longest} messages of two others");
    // The control: they had more to say than that, and were heard.
    assert!(handled.len() > 50 + 2 * 50, "{}", handled.len());
}

fn who_floods_gets_one_turn_among_others() {
    flood(|| StoreRequest::Note { line: 1 });
}

fn who_floods_a_handler_that_reads_ahead_gets_one_turn_among_others() {
    flood(|| StoreRequest::Look);
}

fn hostile(threads: usize) {
    more_time(Duration::from_secs(60));
    let ledger = FdLedger::open().unwrap();
    let mine = Arc::new(Mine::default());
    let (clients, arrivals) = protocol::clients();
    // Forked before there are threads; and killed with calls under way.
    let (doomed, end) = Store::pair().unwrap();
    clients.add(end).unwrap();
    let (far, near) = Channel::<u8>::pair().unwrap();
    let mut killed = ForkedProcess::<(), ()>::spawn(move |_| {
        let calls: Vec<_> = (0..10).map(|_| doomed.start_keep(some_file())).collect();
        assert_eq!(doomed.echo(1).unwrap(), 1);
        far.send(1).unwrap();
        // Killed here.
        let _ = far.recv();
        drop(calls);
    })
    .unwrap();

    let server = Store::server(Arc::clone(&mine)).threads(NonZeroUsize::new(threads).unwrap());
    let stop = server.stop_handle();
    let served = serve(server, arrivals);
    let honest: Vec<_> = (0..60).map(|_| add(&clients)).collect();
    let [(floods, flood_end), (deaf, deaf_end), (lies, lies_end)] = [(); 3].map(|()| raw());
    [flood_end, deaf_end, lies_end].into_iter().for_each(|end| assert!(clients.add(end).is_ok()));
    let (floods, answers) = floods.split();
    let lies = breezeway::socket::Socket::try_from(OwnedFd::try_from(lies).unwrap()).unwrap();
    let over = AtomicBool::new(false);
    let flooded = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (floods, over, flooded) = (&floods, &over, &flooded);
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let message = RawRequest::OneWay { request: StoreRequest::Note { line: 1 } };
                flooded.fetch_add(usize::from(floods.try_send(message).is_ok()), Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            for round in 0..200_u8 {
                // Some of it begins as a message does.
                let body = if round % 2 == 0 { breezeway::testing::packet(&[round; 20], &[], 0) } else { vec![round; 64] };
                let _ = lies.send_packet(&[IoSlice::new(&body)], &[]);
            }
        });
        near.recv().unwrap();
        killed.kill().unwrap();
        fill(&deaf, &honest[0]);
        let callers = honest.chunks(15).map(|some| {
            scope.spawn(move || {
                for value in 0..100 {
                    some.iter().for_each(|client| assert_eq!(client.echo(value).unwrap(), value));
                }
            })
        });
        callers.collect::<Vec<_>>().into_iter().for_each(|caller| caller.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
    assert!(flooded.load(Ordering::Relaxed) > 1_000);
    let _ = killed.wait().unwrap();
    // Nothing of the killed one's is left but what the service has kept itself.
    let kept = mine.kept(10);
    assert!(kept.iter().all(|(_, reply)| !reply.is_wanted()));
    drop(kept);
    stop.stop(Duration::from_millis(100));
    ended(served);
    assert!(honest.iter().all(|client| client.echo(1).unwrap_err().is_closed()));
    drop((honest, floods, answers, deaf, lies, near, clients));
    settled(&ledger);
}

fn sixty_four_clients_of_which_four_are_hostile() {
    hostile(1);
}

fn sixty_four_clients_of_which_four_are_hostile_with_threads() {
    hostile(4);
}

fn a_client_that_does_not_read_is_answered_when_it_does() {
    for threads in [1, 3] {
        let mine = Arc::new(Mine::default());
        let (clients, arrivals) = protocol::clients();
        let served = serve(Store::server(mine).threads(NonZeroUsize::new(threads).unwrap()), arrivals);
        let honest = add(&clients);
        let (deaf, end) = raw();
        clients.add(end).unwrap();
        let sent = fill(&deaf, &honest);
        for _ in 0..sent {
            assert!(deaf.recv().unwrap().outcome.is_ok());
        }
        // And it is one as others again.
        deaf.send(call(sent + 1, StoreRequest::Echo { value: 7 })).unwrap();
        assert!(matches!(deaf.recv().unwrap().outcome, Ok(StoreReply::Echo(7))));
        drop((clients, deaf, honest));
        ended(served);
    }
}

fn answers_that_are_given_later_reach_their_clients() {
    let ledger = FdLedger::open().unwrap();
    let (mine, clients, served) = start();
    let all: Vec<_> = (0..10).map(|_| add(&clients)).collect();
    drop(clients);
    let calls: Vec<_> = all.iter().map(|client| client.start_keep(some_file())).collect();
    let kept = mine.kept(10);
    // Others go on meanwhile.
    assert_eq!(all[3].echo(1).unwrap(), 1);
    let sender = thread::spawn(move || kept.into_iter().rev().for_each(|(file, reply)| reply.send(file)));
    calls.into_iter().for_each(|call| drop(call.wait().unwrap()));
    sender.join().unwrap();
    drop(all);
    ended(served);
    settled(&ledger);
}

fn a_stopped_loop_answers_what_it_has_and_takes_no_more() {
    for threads in [1, 3] {
        let mine = Arc::new(Mine::default());
        let (clients, arrivals) = protocol::clients();
        let server = Store::server(Arc::clone(&mine)).threads(NonZeroUsize::new(threads).unwrap());
        let stop = server.stop_handle();
        let served = serve(server, arrivals);
        let all: Vec<_> = (0..10).map(|_| add(&clients)).collect();
        let calls: Vec<_> = all.iter().map(|client| client.start_keep(some_file())).collect();
        let kept = mine.kept(10);
        stop.stop(Duration::from_secs(3600));
        assert!(all.iter().all(|client| client.echo(1).unwrap_err().is_closed()));
        kept.into_iter().for_each(|(file, reply)| reply.send(file));
        calls.into_iter().for_each(|call| drop(call.wait().unwrap()));
        // Although there is one who could bring more.
        ended(served);
        let (_, end) = Store::pair().unwrap();
        assert!(clients.add(end).is_err());
    }
}

fn a_stopped_loop_gives_up_at_its_deadline() {
    let mine = Arc::new(Mine::default());
    let (clients, arrivals) = protocol::clients();
    let server = Store::server(Arc::clone(&mine));
    let stop = server.stop_handle();
    let served = serve(server, arrivals);
    let client = add(&clients);
    let call = client.start_keep(some_file());
    let kept = mine.kept(1);
    stop.stop(Duration::from_secs(3600));
    stop.stop(Duration::from_millis(10));
    ended(served);
    assert!(call.wait().unwrap_err().is_closed());
    // Too late, and of no effect.
    kept.into_iter().for_each(|(file, reply)| reply.send(file));
}

fn a_loop_that_is_stopped_takes_nobody_from_a_channel() {
    let ledger = FdLedger::open().unwrap();
    let (clients, arrivals) = protocol::clients();
    let server = Store::server(Arc::<Mine>::default());
    let stop = server.stop_handle();
    let (bell, heard) = breezeway::channel::<u8>().unwrap();
    clients.accept_from(&heard, |_| panic!("nothing was sent")).unwrap();
    drop(clients);
    let served = serve(server, arrivals);
    stop.stop(Duration::ZERO);
    ended(served);
    drop((bell, heard));
    ledger.check().unwrap();
}

fn whoever_goes_is_told_of_once() {
    let mine = Arc::new(Mine::default());
    let (clients, arrivals) = protocol::clients();
    let server = Store::server(Arc::clone(&mine)).on_gone(|mine, client, outcome| {
        outcome.unwrap();
        mine.gone.lock().unwrap().push(client);
    });
    let stop = server.stop_handle();
    let served = serve(server, arrivals);
    let (client, end) = Store::pair().unwrap();
    let first = clients.add(end).unwrap();
    assert_eq!(client.echo(1).unwrap(), 1);
    drop(client);
    while mine.gone.lock().unwrap().is_empty() {
        thread::yield_now();
    }
    assert_eq!(*mine.gone.lock().unwrap(), [first]);
    let (_stays, end) = Store::pair().unwrap();
    let second = clients.add(end).unwrap();
    stop.stop(Duration::ZERO);
    ended(served);
    assert_eq!(*mine.gone.lock().unwrap(), [first, second]);
}

fn a_panic_beyond_the_handler_ends_its_client_only() {
    let (_, clients, served) = start();
    let [one, other] = [(); 2].map(|()| add(&clients));
    // The answer is sent before its destructor runs there.
    let _ = one.bomb();
    while !one.is_closed() {
        thread::yield_now();
    }
    assert_eq!(other.echo(1).unwrap(), 1);
    drop((clients, other));
    ended(served);
}

fn a_thousand_clients_that_come_and_go_leak_nothing() {
    const SEED: u64 = 0x5eed_0011;
    println!("seed {SEED:#x}");
    more_time(Duration::from_secs(60));
    let ledger = FdLedger::open().unwrap();
    let (mine, clients, served) = start();
    let (mut random, mut here) = (SEED, Vec::new());
    for value in 0..1_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let client = add(&clients);
        match random >> 60 {
            // With calls that nobody will take the answers of.
            0..=3 => drop((client.start_echo(1), client.start_keep(some_file()))),
            4..=7 => assert_eq!(client.echo(value).unwrap(), value),
            8 => here.clear(),
            _ => here.push((client.start_echo(value), client)),
        }
    }
    here.clear();
    drop(clients);
    mine.kept.lock().unwrap().clear();
    while !served.is_finished() {
        mine.kept.lock().unwrap().clear();
        thread::yield_now();
    }
    ended(served);
    drop(mine);
    ledger.check().unwrap();
}
