//! The service's side: a loop for each channel, handlers in it or beside it, and an end that is graceful.

use super::call::{ClientId, Incoming};
use super::connection::{Accepted, Connection};
use super::{Protocol, ServiceEnd};
use crate::error::SystemError;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// The most calls of one client that are open at a time, unless [`Server::calls`] says otherwise. Chosen, not tuned.
const CALLS: usize = 1024;

/// A service of the protocol `P`, ready to serve: made by the `server` function of the protocol's type.
///
/// Handlers run one after another in the thread that serves, or in several with [`threads`](Server::threads). Several threads may serve a channel
/// each at the same time, if the service is `Sync`.
pub struct Server<P: Protocol, S> {
    service: S,
    dispatch: fn(&S, P::Request, Incoming<'_, P>),
    run: Run<P, S>,
    threads: usize,
    calls: usize,
    stop: Stop,
    clients: AtomicU64,
}

/// The loop of one channel. A pointer, because only one of the two asks for a service that threads may share.
type Run<P, S> = fn(&Server<P, S>, &Arc<Connection<P>>, ClientId) -> Result<(), SystemError>;

impl<P: Protocol, S> Server<P, S> {
    /// A server with one handler at a time. `dispatch` calls the method that is asked for.
    pub fn new(service: S, dispatch: fn(&S, P::Request, Incoming<'_, P>)) -> Server<P, S> {
        let run = Server::in_turn;
        Server { service, dispatch, run, threads: 1, calls: CALLS, stop: Stop::default(), clients: AtomicU64::new(0) }
    }

    /// Has so many threads handle the calls of each channel, beside the one that serves it. Answers then come in any order.
    pub fn threads(mut self, threads: NonZeroUsize) -> Server<P, S>
    where
        S: Sync,
    {
        self.run = Server::in_threads;
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
        let client = ClientId(self.clients.fetch_add(1, Ordering::Relaxed));
        let connection = Connection::new(Arc::clone(channel.end()), channel.limits(), self.calls, self.threads > 1)?;
        let connection = Arc::new(connection);
        let _closed = Closed(&connection);
        self.stop.watch(Arc::downgrade(&connection) as Weak<dyn Stopped>);
        (self.run)(self, &connection, client)
    }

    fn in_turn(&self, connection: &Arc<Connection<P>>, client: ClientId) -> Result<(), SystemError> {
        connection.run(|call| self.handle(connection, client, call))
    }

    fn in_threads(&self, connection: &Arc<Connection<P>>, client: ClientId) -> Result<(), SystemError>
    where
        S: Sync,
    {
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    // Calls of a client that has lost a thread might wait for ever.
                    let closed = Closed(connection);
                    while let Some(call) = connection.work() {
                        self.handle(connection, client, call);
                    }
                    std::mem::forget(closed);
                });
            }
            let served = connection.run(|_| unreachable!("the threads handle"));
            connection.close();
            served
        })
    }

    fn handle(&self, connection: &Arc<Connection<P>>, client: ClientId, call: Accepted<P::Request>) {
        let (request, incoming) = Incoming::new(connection, client, call);
        (self.dispatch)(&self.service, request, incoming);
    }
}

impl<P: Protocol, S> fmt::Debug for Server<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("protocol", &P::NAME).field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Closes a connection when it is dropped, also by a panic of the service's own thread: in the destructor of an answer, say.
struct Closed<'a, P: Protocol>(&'a Connection<P>);

impl<P: Protocol> Drop for Closed<'_, P> {
    fn drop(&mut self) {
        self.0.close();
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
    connections: Vec<Weak<dyn Stopped>>,
}

/// A connection, whatever its protocol.
trait Stopped: Send + Sync {
    fn stop(&self, within: Duration);
}

impl<P: Protocol> Stopped for Connection<P> {
    fn stop(&self, within: Duration) {
        Connection::stop(self, within);
    }
}

impl Stop {
    /// Ends the serving of every channel, present and future: calls that are sent from now on fail at their caller as not sent, and those that
    /// were sent before are answered, unless that takes longer than `within`; then their callers get `Closed`. A handler that runs is not
    /// interrupted. Does not wait. A second time, it is the later `within` that counts: so a service that takes too long can be hurried.
    pub fn stop(&self, within: Duration) {
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        stopping.within = Some(within);
        stopping.connections.iter().filter_map(Weak::upgrade).for_each(|connection| connection.stop(within));
    }

    fn watch(&self, connection: Weak<dyn Stopped>) {
        let mut stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        stopping.connections.retain(|connection| connection.strong_count() > 0);
        if let (Some(within), Some(connection)) = (stopping.within, connection.upgrade()) {
            connection.stop(within);
        }
        stopping.connections.push(connection);
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stop")
    }
}
