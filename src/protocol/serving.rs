//! What the loop of a service, those who handle beside it, and those who bring clients have in common.
//!
//! A connection that has something to handle stands here once, in a queue in which all take turns. One that somebody else has changed,
//! or brought, is listed, and the loop woken. Knows the connections, and nothing of the loop.

use super::call::ClientId;
use super::clients::{Accept, Clients};
use super::connection::{Connection, Turn};
use super::{Protocol, ServiceEnd};
use crate::error::SystemError;
use crate::select::{Interest, Select, Token, Waker};
use std::collections::{HashMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub(super) struct Serving<P: Protocol> {
    state: Mutex<State<P>>,
    /// For the threads that handle: there is a connection whose turn it is, or never will be.
    work: Condvar,
    /// Made when the loop waits for more than one client alone, and before anybody else acts.
    select: OnceLock<(Select, Waker)>,
}

struct State<P: Protocol> {
    /// Brought, and not served yet.
    arrived: Vec<(ClientId, ServiceEnd<P>)>,
    /// Where more come from.
    acceptors: HashMap<Token, Accept<P>>,
    /// Those who may bring more.
    bringers: usize,
    connections: HashMap<ClientId, Arc<Connection<P>>>,
    /// For the loop to look at.
    changed: Vec<ClientId>,
    /// With something to handle.
    scheduled: VecDeque<Arc<Connection<P>>>,
    /// Threads that wait for that.
    idle: usize,
    /// When a service that stops gives up.
    give_up: Option<Instant>,
    over: bool,
}

/// What has come to the loop from elsewhere.
pub(super) struct News<P: Protocol> {
    pub(super) arrived: Vec<(ClientId, ServiceEnd<P>)>,
    pub(super) changed: Vec<ClientId>,
    pub(super) give_up: Option<Instant>,
}

impl<P: Protocol> Serving<P> {
    pub(super) fn new() -> Arc<Serving<P>> {
        let state = State {
            arrived: Vec::new(),
            acceptors: HashMap::new(),
            bringers: 0,
            connections: HashMap::new(),
            changed: Vec::new(),
            scheduled: VecDeque::new(),
            idle: 0,
            give_up: None,
            over: false,
        };
        Arc::new(Serving { state: Mutex::new(state), work: Condvar::new(), select: OnceLock::new() })
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the loop waits with, when it does not wait for one client alone.
    pub(super) fn select(&self) -> Result<&Select, SystemError> {
        if self.select.get().is_none() {
            let select = Select::new()?;
            let waker = select.waker();
            // One of two that are made at the same time is as good as the other.
            let _ = self.select.set((select, waker));
        }
        let (select, _) = self.select.get().unwrap_or_else(|| unreachable!("just made"));
        Ok(select)
    }

    pub(super) fn has_select(&self) -> bool {
        self.select.get().is_some()
    }

    fn wake(&self) {
        self.select.get().into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Puts a connection into the queue of those that have something to handle.
    pub(super) fn schedule(&self, connection: Arc<Connection<P>>) {
        let mut state = self.lock();
        if !state.over {
            state.scheduled.push_back(connection);
            // A condition variable makes a system call whether or not somebody waits for it.
            if state.idle > 0 {
                self.work.notify_one();
            }
        }
    }

    /// How many connections have something to handle.
    pub(super) fn scheduled_count(&self) -> usize {
        self.lock().scheduled.len()
    }

    /// The connection whose turn it is, if there is one.
    pub(super) fn scheduled(&self) -> Option<Arc<Connection<P>>> {
        self.lock().scheduled.pop_front()
    }

    /// For a thread that handles: the next call, or `None` when there will be none.
    pub(super) fn work(&self) -> Option<Turn<P>> {
        loop {
            let mut state = self.lock();
            let connection = loop {
                match state.scheduled.pop_front() {
                    Some(connection) => break connection,
                    None if state.over => return None,
                    None => {
                        state.idle += 1;
                        state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                        state.idle -= 1;
                    }
                }
            };
            drop(state);
            if let Some(call) = connection.next() {
                return Some((connection, call));
            }
        }
    }

    /// Has the loop look at a connection.
    pub(super) fn tell(&self, client: ClientId) {
        self.lock().changed.push(client);
        self.wake();
    }

    /// Brings a client; its end is given back if none is served any more.
    pub(super) fn bring(&self, channel: ServiceEnd<P>) -> Result<ClientId, ServiceEnd<P>> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut state = self.lock();
        if state.over {
            return Err(channel);
        }
        let client = ClientId(NEXT.fetch_add(1, Ordering::Relaxed));
        state.arrived.push((client, channel));
        drop(state);
        self.wake();
        Ok(client)
    }

    /// One more, or one less, who may bring clients.
    pub(super) fn count_bringer(&self, more: bool) {
        let mut state = self.lock();
        if more {
            state.bringers += 1;
            return;
        }
        state.bringers -= 1;
        if state.bringers == 0 {
            drop(state);
            self.wake();
        }
    }

    /// Has the loop call this when there is something to read.
    pub(super) fn watch(&self, fd: BorrowedFd<'_>, accept: Accept<P>) -> Result<(), SystemError> {
        let select = self.select()?;
        // Locked first: the loop may be told of it before it is in the list.
        let mut state = self.lock();
        if !state.over && state.give_up.is_none() {
            let token = select.add_fd(fd, Interest::Readable)?;
            state.acceptors.insert(token, accept);
        }
        Ok(())
    }

    /// What has this number can be read.
    pub(super) fn accept(self: &Arc<Self>, token: Token) {
        // Not in the list meanwhile, so that it may bring others, and the end may come.
        let Some(mut accept) = self.lock().acceptors.remove(&token) else { return };
        let flow = accept(&Clients::passing(self));
        let mut state = self.lock();
        if flow.is_continue() && !state.over && state.give_up.is_none() {
            state.acceptors.insert(token, accept);
            return;
        }
        drop(state);
        self.forget(token);
    }

    fn forget(&self, token: Token) {
        self.select.get().into_iter().for_each(|(select, _)| _ = select.remove(token));
    }

    pub(super) fn news(&self) -> News<P> {
        let mut state = self.lock();
        News { arrived: std::mem::take(&mut state.arrived), changed: std::mem::take(&mut state.changed), give_up: state.give_up }
    }

    /// Has a stop reach this connection, also one that has come before.
    pub(super) fn enter(&self, connection: &Arc<Connection<P>>) {
        let mut state = self.lock();
        if state.give_up.is_some() {
            connection.stop();
        }
        state.connections.insert(connection.client, Arc::clone(connection));
    }

    pub(super) fn leave(&self, client: ClientId) {
        self.lock().connections.remove(&client);
    }

    /// Whether there is nobody left to serve, nor will be. If so, nobody is taken from now on.
    pub(super) fn is_over(&self) -> bool {
        let mut state = self.lock();
        let more = state.bringers > 0 || !state.acceptors.is_empty();
        let over = state.connections.is_empty() && state.arrived.is_empty() && (state.give_up.is_some() || !more);
        state.over |= over;
        over
    }

    /// Ends the clients' sending; what was read already is answered until `within` is over.
    pub(super) fn stop(&self, within: Duration) {
        let mut state = self.lock();
        state.give_up = Some(Instant::now().checked_add(within).unwrap_or_else(far));
        state.connections.values().for_each(|connection| connection.stop());
        let acceptors = std::mem::take(&mut state.acceptors);
        drop(state);
        acceptors.keys().for_each(|&token| self.forget(token));
        self.wake();
    }

    /// The loop has ended: nobody is served any more, and nobody handles.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.over = true;
        let arrived = std::mem::take(&mut state.arrived);
        let rest = (std::mem::take(&mut state.scheduled), std::mem::take(&mut state.connections), std::mem::take(&mut state.acceptors));
        drop(state);
        rest.2.keys().for_each(|&token| self.forget(token));
        // Without the lock: what they hold may take its time to close.
        drop((arrived, rest));
        self.work.notify_all();
    }
}

/// Later than any service lives: 100 years.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600)
}
