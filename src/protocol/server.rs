//! The service's side: handlers in the loop or beside it, one client or many, and an end that is graceful.

use super::call::{ClientId, Incoming};
use super::clients::Arrivals;
use super::connection::{Accepted, Connection};
use super::serving::Serving;
use super::turns::{Rules, Turns, guarded};
use super::{Protocol, ServiceEnd};
use crate::error::SystemError;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// The most calls of one client that are open at a time, unless [`Server::calls`] says otherwise. Chosen, not tuned.
const CALLS: usize = 1024;

/// A service of the protocol `P`, ready to serve: made by the `server` function of the protocol's type.
///
/// Handlers run one after another in the thread that serves, or in several with [`threads`](Server::threads). One loop serves one client
/// ([`serve`](Server::serve)) or many ([`serve_all`](Server::serve_all)). Several threads may serve at the same time, if the service is `Sync`.
pub struct Server<P: Protocol, S> {
    service: S,
    dispatch: fn(&S, P::Request, Incoming<'_, P>),
    run: Run<P, S>,
    gone: fn(&S, ClientId, Result<(), &SystemError>),
    threads: usize,
    calls: usize,
    stop: Stop,
}

/// The running of a loop. A pointer, because only one of the two asks for a service that threads may share.
type Run<P, S> = fn(&Server<P, S>, Turns<'_, P>) -> Result<(), SystemError>;

impl<P: Protocol, S> Server<P, S> {
    /// A server with one handler at a time. `dispatch` calls the method that is asked for.
    pub fn new(service: S, dispatch: fn(&S, P::Request, Incoming<'_, P>)) -> Server<P, S> {
        let run = Server::in_turn;
        Server { service, dispatch, run, gone: |_, _, _| {}, threads: 1, calls: CALLS, stop: Stop::default() }
    }

    /// Has so many threads handle the calls of all clients of a loop, beside the one that serves. Answers then come in any order. With one, the
    /// thread that serves handles them itself.
    pub fn threads(mut self, threads: NonZeroUsize) -> Server<P, S>
    where
        S: Sync,
    {
        self.run = if threads.get() > 1 { Server::in_threads } else { Server::in_turn };
        self.threads = threads.get();
        self
    }

    /// How many calls of one client may be open: read, and not answered. Further ones are refused with
    /// [`CallError::Busy`](super::CallError::Busy). Default: 1,024.
    ///
    /// A cancelled call stays open until its handler has ended, or its `Reply` is gone. Beside these, the service holds at most 16 messages for
    /// each client that it has read ahead; each is bounded by the channel's [`Limits`](crate::Limits). As long as an answer finds no room, it
    /// reads no more from that client, so an answer waits for each open call at most.
    pub fn calls(mut self, calls: NonZeroUsize) -> Server<P, S> {
        self.calls = calls.get();
        self
    }

    /// Has the service told of every client that is gone, in the thread that serves: it has closed its end, or the service has stopped, or a
    /// system call failed, and with it the client's channel. Nothing of that client is read afterwards; what [`threads`](Server::threads) have
    /// taken of it they may still be handling.
    pub fn on_gone(mut self, gone: fn(&S, ClientId, Result<(), &SystemError>)) -> Server<P, S> {
        self.gone = gone;
        self
    }

    /// The service.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// Something that ends the serving from another thread.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves one client until it closes its end, or the service is stopped. Waits; the client has been given up when it returns.
    ///
    /// # Errors
    ///
    /// A system call failed, and with it the channel: waiting, or receiving for lack of memory. What a client sends is no error here.
    pub fn serve(&self, channel: ServiceEnd<P>) -> Result<(), SystemError> {
        let serving = Serving::new();
        let _ = serving.bring(channel);
        let mut failed = Ok(());
        self.run(&serving, true, |outcome| failed = outcome)?;
        failed
    }

    /// Serves all clients that have arrived and will, in one loop, until none is left and nobody can bring more, or the service is stopped. Waits.
    ///
    /// The clients take turns: one message of each is read and handled, then the next of each. So a client that floods, does not read its
    /// answers, or goes away holds up nobody else, but a handler does that takes its time, unless there are [`threads`](Server::threads).
    ///
    /// # Errors
    ///
    /// A system call failed, and with it all channels: waiting. One that fails for one client ends the serving of that one, which
    /// [`on_gone`](Server::on_gone) is told. What clients send is no error here.
    pub fn serve_all(&self, arrivals: Arrivals<P>) -> Result<(), SystemError> {
        self.run(&arrivals.serving, false, |_| {})
    }

    fn run(&self, serving: &Arc<Serving<P>>, alone: bool, mut ended: impl FnMut(Result<(), SystemError>)) -> Result<(), SystemError> {
        let mut gone = |client, outcome: Result<(), SystemError>| {
            (self.gone)(&self.service, client, outcome.as_ref().copied());
            ended(outcome);
        };
        let turns = Turns::new(serving, Rules { calls: self.calls, threaded: self.threads > 1, alone }, &mut gone);
        self.stop.watch(Arc::downgrade(serving) as Weak<dyn Stopped>);
        (self.run)(self, turns)
    }

    fn in_turn(&self, mut turns: Turns<'_, P>) -> Result<(), SystemError> {
        turns.run(|connection, call| self.handle(connection, call))
    }

    fn in_threads(&self, turns: Turns<'_, P>) -> Result<(), SystemError>
    where
        S: Sync,
    {
        let serving = turns.serving;
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while let Some((connection, call)) = serving.work() {
                        guarded(&connection, call, |connection, call| self.handle(connection, call));
                    }
                });
            }
            // Dropped here, also by a panic: the threads end with it.
            let mut turns = turns;
            turns.run(|_, _| unreachable!("the threads handle"))
        })
    }

    fn handle(&self, connection: &Arc<Connection<P>>, call: Accepted<P::Request>) {
        let (request, incoming) = Incoming::new(connection, call);
        (self.dispatch)(&self.service, request, incoming);
    }
}

impl<P: Protocol, S> fmt::Debug for Server<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("protocol", &P::NAME).field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Ends the serving of a [`Server`], from any thread.
#[derive(Clone, Default)]
pub struct Stop {
    stopping: Arc<Mutex<Stopping>>,
}

#[derive(Default)]
struct Stopping {
    /// How long what is under way may still take.
    within: Option<Duration>,
    loops: Vec<Weak<dyn Stopped>>,
}

/// What a loop serves, whatever its protocol.
trait Stopped: Send + Sync {
    fn stop(&self, within: Duration);
}

impl<P: Protocol> Stopped for Serving<P> {
    fn stop(&self, within: Duration) {
        Serving::stop(self, within);
    }
}

impl Stop {
    /// Ends the serving of every channel, present and future: calls that are sent from now on fail at their caller as not sent, and those that
    /// were sent before are answered, unless that takes longer than `within`; then their callers get `Closed`. A handler that runs is not
    /// interrupted. Does not wait. A second time, it is the later `within` that counts: so a service that takes too long can be hurried.
    pub fn stop(&self, within: Duration) {
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        stopping.within = Some(within);
        stopping.loops.iter().filter_map(Weak::upgrade).for_each(|serving| serving.stop(within));
    }

    fn watch(&self, serving: Weak<dyn Stopped>) {
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        stopping.loops.retain(|serving| serving.strong_count() > 0);
        if let (Some(within), Some(serving)) = (stopping.within, serving.upgrade()) {
            serving.stop(within);
        }
        stopping.loops.push(serving);
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}
