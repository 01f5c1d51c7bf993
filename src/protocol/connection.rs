//! One client of a service: what it has asked, what it has not yet been answered, and when to read on.
//!
//! The loop of [`server`](super::server) reads and sends without waiting, and waits for whatever can go on. **It reads only while it can
//! answer**: not while an answer waits for room. It does read while many calls are open, because their cancellations stand behind others,
//! and refuses calls beyond a number. So what one client makes the service hold is bounded, and a client that does not read stops nobody but
//! itself.

use super::Protocol;
use super::message::{Asked, CallFault, CallId, Envelope, Outcome, Request, Response, noting};
use crate::channel::{End, Ready};
use crate::error::{DecodeError, Fault, SystemError, panic_text};
use crate::limits::Limits;
use crate::sys::socket::Direction;
use crate::transport::{NotReceived, NotSent, Wait};
use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Requests that are read ahead of the one being handled. Chosen, not tuned.
const AHEAD: usize = 16;

pub(super) struct Connection<P: Protocol> {
    end: Arc<End>,
    limits: Limits,
    /// The most calls that may be open.
    most: usize,
    /// Handlers run in threads of their own, beside the loop.
    threaded: bool,
    state: Mutex<State<P>>,
    /// For the threads that handle: there is something in the queue, or there never will be.
    work: Condvar,
    /// For the loop, where others act beside it.
    bell: OnceLock<Bell>,
}

struct State<P: Protocol> {
    /// Read, and not begun.
    queue: VecDeque<Accepted<P::Request>>,
    /// Read, and not answered.
    open: HashMap<u64, Arc<Open>>,
    /// Answered, with no room to send it.
    outbox: VecDeque<Response<P::Reply>>,
    /// Nothing more will be read: the client has closed, or the service stops.
    ended: bool,
    /// Nothing more can be sent. What was sent without wanting an answer is read and handled all the same.
    gone: bool,
    /// Nothing more is begun.
    closed: bool,
    /// The socket has said that it will not be readable for long, and is not asked any more.
    hung: bool,
    /// The loop waits for what others do: it does not read, or will read no more.
    attentive: bool,
    /// When a service that stops gives up.
    give_up: Option<Instant>,
}

/// A call or a message without an answer, as it was read.
pub(super) struct Accepted<Q> {
    pub(super) id: Option<CallId>,
    pub(super) open: Arc<Open>,
    pub(super) deadline: Option<Instant>,
    pub(super) request: Q,
}

/// A call that has not been answered.
pub(super) struct Open {
    wanted: AtomicBool,
}

impl Open {
    fn new() -> Arc<Open> {
        Arc::new(Open { wanted: AtomicBool::new(true) })
    }

    fn cancel(&self) {
        self.wanted.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_wanted(&self, deadline: Option<Instant>) -> bool {
        self.wanted.load(Ordering::Relaxed) && deadline.is_none_or(|deadline| Instant::now() < deadline)
    }
}

/// Wakes the loop, once for any number of times that it is rung.
struct Bell {
    ring: End,
    heard: End,
    rung: AtomicBool,
}

impl<P: Protocol> Connection<P> {
    pub(super) fn new(end: Arc<End>, limits: Limits, most: usize, threaded: bool) -> Result<Connection<P>, SystemError> {
        let state = State {
            queue: VecDeque::new(),
            open: HashMap::new(),
            outbox: VecDeque::new(),
            ended: false,
            gone: false,
            closed: false,
            hung: false,
            attentive: false,
            give_up: None,
        };
        let (state, work, bell) = (Mutex::new(state), Condvar::new(), OnceLock::new());
        let connection = Connection { end, limits, most, threaded, state, work, bell };
        if threaded {
            connection.others_act()?;
        }
        Ok(connection)
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares the loop for others that act beside it.
    pub(super) fn others_act(&self) -> Result<(), SystemError> {
        if self.bell.get().is_none() {
            let (ring, heard) = End::pair()?;
            // One of two that are made at the same time is as good as the other.
            let _ = self.bell.set(Bell { ring, heard, rung: AtomicBool::new(false) });
        }
        Ok(())
    }

    /// A condition variable makes a system call whether or not somebody waits for it.
    fn tell_a_worker(&self) {
        if self.threaded {
            self.work.notify_one();
        }
    }

    fn tell_workers(&self) {
        if self.threaded {
            self.work.notify_all();
        }
    }

    fn ring(&self) {
        if let Some(bell) = self.bell.get().filter(|bell| !bell.rung.swap(true, Ordering::AcqRel)) {
            let _ = bell.ring.send(&(), &self.limits, Wait::Not);
        }
    }

    /// Reads, answers and calls `handle` for each call in turn, until the client has closed or the service stops.
    pub(super) fn run(&self, mut handle: impl FnMut(Accepted<P::Request>)) -> Result<(), SystemError> {
        loop {
            self.flush();
            match if self.threaded { None } else { self.next() } {
                Some(call) => handle(call),
                None if self.is_finished() => return Ok(()),
                None => self.wait()?,
            }
        }
    }

    /// For a thread that handles: the next call, or `None` when there will be none.
    pub(super) fn work(&self) -> Option<Accepted<P::Request>> {
        loop {
            if let Some(call) = self.next() {
                return Some(call);
            }
            let state = self.lock();
            if state.closed {
                return None;
            }
            if state.queue.is_empty() || !state.outbox.is_empty() {
                // Woken by a call that is queued, an answer that is sent, and the end.
                drop(self.work.wait(state).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// A call to begin with; none while an answer waits for room.
    fn next(&self) -> Option<Accepted<P::Request>> {
        let mut unwanted = Vec::new();
        let mut state = self.lock();
        let next = loop {
            if !state.outbox.is_empty() {
                break None;
            }
            match state.queue.pop_front() {
                // Nobody waits for it any more.
                Some(call) if !call.open.is_wanted(call.deadline) => {
                    call.id.map(|id| state.open.remove(&id.0));
                    unwanted.push(call);
                }
                next => break next,
            }
        };
        if state.attentive {
            self.ring();
        }
        drop(state);
        drop(unwanted);
        next
    }

    fn is_finished(&self) -> bool {
        let state = self.lock();
        let answered = state.queue.is_empty() && state.open.is_empty() && state.outbox.is_empty();
        state.ended && answered || state.give_up.is_some_and(|give_up| give_up <= Instant::now())
    }

    /// Waits until something can go on, and reads if that is it.
    fn wait(&self) -> Result<(), SystemError> {
        let (read, alone, gone, wanted, deadline) = {
            let mut state = self.lock();
            let read = !state.ended && state.outbox.is_empty() && state.queue.len() < AHEAD;
            let alone = !self.threaded && state.open.is_empty();
            state.attentive = !read;
            let wanted = Ready { read, write: !state.outbox.is_empty(), hangup: !read && !state.hung, other: false };
            (read, alone, state.gone, wanted, state.give_up)
        };
        if read && alone {
            return self.read(deadline.map_or(Wait::Forever, Wait::Until));
        }
        let found = match self.bell.get() {
            // A broken socket would be found at once, again and again.
            Some(bell) if gone && !read => Ready { other: bell.heard.wait(Ready::READ, None, deadline)?.read, ..Ready::default() },
            bell => self.end.wait(wanted, bell.map(|bell| bell.heard.as_fd()), deadline)?,
        };
        if let (Some(bell), true) = (self.bell.get(), found.other) {
            let _ = bell.heard.receive::<()>(&self.limits, Wait::Not);
            bell.rung.store(false, Ordering::Release);
        }
        if found.hangup {
            self.lock().hung = true;
            if self.end.is_deaf() {
                self.lose();
            }
        }
        if read && found.read { self.read(Wait::Not) } else { Ok(()) }
    }

    /// Reads one message.
    fn read(&self, wait: Wait) -> Result<(), SystemError> {
        let receive = || catch_unwind(AssertUnwindSafe(|| self.end.receive::<Request<P::Request>>(&self.limits, wait)));
        let (received, note) = noting(receive);
        match received {
            Ok(Ok(Request(envelope))) => self.accept(envelope),
            Ok(Err(NotReceived::Empty)) => {}
            Ok(Err(NotReceived::Closed)) => {
                self.lock().ended = true;
                if self.end.is_deaf() {
                    self.lose();
                }
            }
            Ok(Err(NotReceived::Fault(Fault::System(error)))) => return Err(error),
            // A message that nobody waits for.
            Ok(Err(NotReceived::Fault(_))) | Err(_) if note.id.is_none() && note.asked => {}
            Ok(Err(NotReceived::Fault(fault))) => {
                let invalid = matches!(fault, Fault::Decode(DecodeError::Invalid { .. }));
                let fault =
                    if invalid && note.asked && !note.method_known { CallFault::UnknownMethod } else { CallFault::malformed(&fault) };
                self.refuse(note.id.unwrap_or(CallId::EVERY), fault);
            }
            Err(payload) => self.refuse(note.id.unwrap_or(CallId::EVERY), CallFault::Panicked(panic_text(payload))),
        }
        Ok(())
    }

    /// Reads what is there, as far as it may, so that a call that is being handled learns that it is cancelled.
    pub(super) fn look(&self) {
        // With threads, the loop reads all the time. A client that never stops cancelling keeps no handler here.
        for _ in 0..AHEAD {
            let ready = || self.end.wait(Ready::READ, None, Some(Instant::now())).is_ok_and(|found| found.read);
            if self.threaded || !self.may_look() || !ready() || self.read(Wait::Not).is_err() {
                return;
            }
        }
    }

    fn may_look(&self) -> bool {
        let state = self.lock();
        !state.ended && state.outbox.is_empty() && state.queue.len() < AHEAD
    }

    fn accept(&self, envelope: Envelope<P::Request>) {
        match envelope {
            Envelope::Call { id, remaining, request: Asked(request) } => {
                let open = Open::new();
                let mut state = self.lock();
                if state.gone {
                    return;
                }
                let refused = match state.open.len() {
                    _ if id == CallId::EVERY => Some(CallFault::Malformed("a call has a number from 1".to_owned())),
                    _ if state.open.contains_key(&id.0) => Some(CallFault::Malformed("the number of the call is in use".to_owned())),
                    open => (open >= self.most).then_some(CallFault::Busy),
                };
                if let Some(fault) = refused {
                    drop(state);
                    return self.refuse(id, fault);
                }
                state.open.insert(id.0, Arc::clone(&open));
                // Beyond the end of the clock is for ever.
                let deadline = remaining.and_then(|remaining| Instant::now().checked_add(remaining));
                state.queue.push_back(Accepted { id: Some(id), open, deadline, request });
                self.tell_a_worker();
            }
            Envelope::OneWay { request: Asked(request) } => {
                self.lock().queue.push_back(Accepted { id: None, open: Open::new(), deadline: None, request });
                self.tell_a_worker();
            }
            Envelope::Cancel { id } => self.lock().open.get(&id.0).into_iter().for_each(|open| open.cancel()),
        }
    }

    /// Answers a call, unless it is answered already, cancelled, or its client gone.
    pub(super) fn answer(&self, id: CallId, open: &Arc<Open>, outcome: Result<P::Reply, CallFault>) {
        let mut state = self.lock();
        // The number may be another call's by now.
        if state.open.get(&id.0).is_some_and(|known| Arc::ptr_eq(known, open)) {
            state.open.remove(&id.0);
            if open.is_wanted(None) {
                self.put(&mut state, Response(Outcome { id, outcome }));
            }
            if state.attentive || !state.outbox.is_empty() {
                self.ring();
            }
        }
    }

    fn refuse(&self, id: CallId, fault: CallFault) {
        self.put(&mut self.lock(), Response(Outcome { id, outcome: Err(fault) }));
    }

    /// Sends an answer, behind those that wait.
    fn put(&self, state: &mut State<P>, response: Response<P::Reply>) {
        if state.gone {
            return;
        }
        if state.outbox.is_empty() {
            self.send(state, response);
        } else {
            state.outbox.push_back(response);
        }
    }

    /// Sends an answer, or puts it in front of those that wait for room; `false` then.
    fn send(&self, state: &mut State<P>, mut response: Response<P::Reply>) -> bool {
        loop {
            let fault = match catch_unwind(AssertUnwindSafe(|| self.end.send(&response, &self.limits, Wait::Not))) {
                Ok(Ok(())) => return true,
                Ok(Err(NotSent::Full)) => {
                    state.outbox.push_front(response);
                    return false;
                }
                Ok(Err(NotSent::Closed)) => {
                    state.lose();
                    self.tell_workers();
                    return false;
                }
                Ok(Err(NotSent::Fault(fault))) => CallFault::Unable(fault.to_string()),
                Err(payload) => CallFault::Panicked(panic_text(payload)),
            };
            if response.0.outcome.is_err() {
                // Not even this can be sent.
                return true;
            }
            response.0.outcome = Err(fault);
        }
    }

    fn flush(&self) {
        let mut state = self.lock();
        let waited = !state.outbox.is_empty();
        while let Some(response) = state.outbox.pop_front() {
            if !self.send(&mut state, response) {
                return;
            }
        }
        if waited {
            self.tell_workers();
        }
    }

    fn lose(&self) {
        self.lock().lose();
        self.tell_workers();
    }

    /// Nothing is read any more; what is read already is answered until `within` is over.
    pub(super) fn stop(&self, within: Duration) {
        self.lock().give_up = Some(Instant::now().checked_add(within).unwrap_or_else(far));
        // The client's sends fail from now on, what it has sent can still be read, and whoever waits for more is woken.
        self.end.socket().shutdown(Direction::Receive);
        self.ring();
    }

    /// Ends the channel, though somebody may still hold a `Reply`.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        let unbegun = std::mem::take(&mut state.queue);
        state.closed = true;
        drop(state);
        drop(unbegun);
        self.lose();
        self.end.socket().shutdown(Direction::Both);
        self.end.socket().discard_queue();
    }
}

/// Later than any service lives: 100 years.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600)
}

impl<P: Protocol> State<P> {
    /// The client is gone: nobody waits for an answer.
    fn lose(&mut self) {
        self.gone = true;
        self.queue.retain(|call| call.id.is_none());
        self.outbox.clear();
        self.open.drain().for_each(|(_, open)| open.cancel());
    }
}
