//! One client of a service: what it has asked, what it has not yet been answered, and when to read on.
//!
//! The loop of [`turns`](super::turns) reads and sends without waiting, and waits for whatever can go on. **It reads only while it can
//! answer**: not while an answer waits for room. It does read while many calls are open, because their cancellations stand behind others,
//! and refuses calls beyond a number. So what one client makes the service hold is bounded, and a client that does not read stops nobody but
//! itself.

use super::call::ClientId;
use super::message::{Asked, CallFault, CallId, Envelope, Outcome, Request, Response, noting};
use super::serving::Serving;
use super::{Protocol, ServiceEnd};
use crate::channel::{End, Ready};
use crate::error::{DecodeError, Fault, SystemError, panic_text};
use crate::limits::Limits;
use crate::sys::socket::Direction;
use crate::transport::{NotReceived, NotSent, Wait};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that are read ahead of the one being handled. Chosen, not tuned.
const AHEAD: usize = 16;

pub(super) struct Connection<P: Protocol> {
    pub(super) client: ClientId,
    end: Arc<End>,
    limits: Limits,
    /// The most calls that may be open.
    most: usize,
    /// Handlers run in threads of their own, beside the loop.
    threaded: bool,
    serving: Arc<Serving<P>>,
    state: Mutex<State<P>>,
    /// The loop has been told that something has changed, and has not looked yet.
    told: AtomicBool,
}

struct State<P: Protocol> {
    /// Read, and not begun.
    queue: VecDeque<Accepted<P::Request>>,
    /// Read, and not answered.
    open: HashMap<u64, Arc<Open>>,
    /// Answered, with no room to send it.
    outbox: VecDeque<Response<P::Reply>>,
    /// It waits for its turn at being handled.
    scheduled: bool,
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
}

/// A call or a message without an answer, as it was read.
pub(super) struct Accepted<Q> {
    pub(super) id: Option<CallId>,
    pub(super) open: Arc<Open>,
    pub(super) request: Q,
}

/// Whose turn it is at being handled, and what is to be handled.
pub(super) type Turn<P> = (Arc<Connection<P>>, Accepted<<P as Protocol>::Request>);

/// A call that has not been answered, as those see it who work on it.
pub(super) struct Open {
    wanted: AtomicBool,
    /// When the caller gives up.
    pub(super) deadline: Option<Instant>,
}

impl Open {
    fn new(deadline: Option<Instant>) -> Arc<Open> {
        Arc::new(Open { wanted: AtomicBool::new(true), deadline })
    }

    fn cancel(&self) {
        self.wanted.store(false, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        !self.wanted.load(Ordering::Relaxed)
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.is_cancelled() && self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }

    pub(super) fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

impl<P: Protocol> Connection<P> {
    pub(super) fn new(serving: &Arc<Serving<P>>, client: ClientId, channel: &ServiceEnd<P>, most: usize, threaded: bool) -> Connection<P> {
        let state = State {
            queue: VecDeque::new(),
            open: HashMap::new(),
            outbox: VecDeque::new(),
            scheduled: false,
            ended: false,
            gone: false,
            closed: false,
            hung: false,
            attentive: false,
        };
        let (end, serving, limits) = (Arc::clone(channel.end()), Arc::clone(serving), channel.limits());
        Connection { client, end, limits, most, threaded, serving, state: Mutex::new(state), told: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Prepares the loop for others that act beside it.
    pub(super) fn others_act(&self) -> Result<(), SystemError> {
        self.serving.select().map(drop)
    }

    /// Has it take its turn at being handled, if there is something to begin with, and no answer waits for room.
    fn schedule(self: &Arc<Self>, state: &mut State<P>) {
        if !state.scheduled && !state.closed && state.outbox.is_empty() && !state.queue.is_empty() {
            state.scheduled = true;
            self.serving.schedule(Arc::clone(self));
        }
    }

    /// Has the loop look at it.
    pub(super) fn tell(&self) {
        if !self.told.swap(true, Ordering::AcqRel) {
            self.serving.tell(self.client);
        }
    }

    /// The loop looks.
    pub(super) fn hear(&self) {
        self.told.store(false, Ordering::Release);
    }

    /// The call whose turn it is; none while an answer waits for room. Where there are more, it waits for its next turn.
    pub(super) fn next(self: &Arc<Self>) -> Option<Accepted<P::Request>> {
        let mut unwanted = Vec::new();
        let mut state = self.lock();
        state.scheduled = false;
        let next = loop {
            if !state.outbox.is_empty() {
                break None;
            }
            match state.queue.pop_front() {
                // Nobody waits for it any more.
                Some(call) if !call.open.is_wanted() => {
                    call.id.map(|id| state.open.remove(&id.0));
                    unwanted.push(call);
                }
                next => break next,
            }
        };
        self.schedule(&mut state);
        if state.attentive {
            self.tell();
        }
        drop(state);
        drop(unwanted);
        next
    }

    /// Nothing is left to do for this client.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.lock();
        state.closed || state.ended && state.queue.is_empty() && state.open.is_empty() && state.outbox.is_empty()
    }

    /// Whether nobody but the client can make a difference now, where the loop serves this one alone.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.may_read() && state.open.is_empty()
    }

    /// What the loop waits for at the socket; nothing, if that is broken and would be found at once, again and again.
    pub(super) fn wanted(&self) -> Option<Ready> {
        let mut state = self.lock();
        let read = state.may_read();
        state.attentive = !read;
        let wanted = Ready { read, write: !state.outbox.is_empty(), hangup: !read && !state.hung, other: false };
        (read || !state.gone).then_some(wanted)
    }

    /// Does what was waited for, where it can be done now. Answers are sent by [`flush`](Connection::flush).
    pub(super) fn turn(self: &Arc<Self>, wanted: Ready) -> Result<(), SystemError> {
        if wanted.read {
            return self.read(Wait::Not);
        }
        if self.end.wait(wanted, None, Some(Instant::now()))?.hangup {
            self.lock().hung = true;
            if self.end.is_deaf() {
                self.lose();
            }
        }
        Ok(())
    }

    /// Reads one message.
    pub(super) fn read(self: &Arc<Self>, wait: Wait) -> Result<(), SystemError> {
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
            Ok(Err(NotReceived::Fault(fault))) => match *fault {
                Fault::System(error) => return Err(error),
                // A message that nobody waits for.
                _ if note.id.is_none() && note.asked => {}
                Fault::Decode(DecodeError::Invalid { .. }) if note.asked && !note.method_known => {
                    self.refuse(note.id.unwrap_or(CallId::EVERY), CallFault::UnknownMethod);
                }
                fault => self.refuse(note.id.unwrap_or(CallId::EVERY), CallFault::malformed(&fault)),
            },
            Err(_) if note.id.is_none() && note.asked => {}
            Err(payload) => self.refuse(note.id.unwrap_or(CallId::EVERY), CallFault::Panicked(panic_text(payload))),
        }
        Ok(())
    }

    /// Reads what is there, as far as it may, so that a call that is being handled learns that it is cancelled.
    pub(super) fn look(self: &Arc<Self>) {
        // With threads, the loop reads all the time. A client that never stops cancelling keeps no handler here.
        for _ in 0..AHEAD {
            let ready = || self.end.wait(Ready::READ, None, Some(Instant::now())).is_ok_and(|found| found.read);
            if self.threaded || !self.lock().may_read() || !ready() || self.read(Wait::Not).is_err() {
                return;
            }
        }
    }

    fn accept(self: &Arc<Self>, envelope: Envelope<P::Request>) {
        match envelope {
            Envelope::Call { id, remaining, request: Asked(request) } => {
                // Beyond the end of the clock is for ever.
                let open = Open::new(remaining.and_then(|remaining| Instant::now().checked_add(remaining)));
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
                state.queue.push_back(Accepted { id: Some(id), open, request });
                self.schedule(&mut state);
            }
            Envelope::OneWay { request: Asked(request) } => {
                let mut state = self.lock();
                state.queue.push_back(Accepted { id: None, open: Open::new(None), request });
                self.schedule(&mut state);
            }
            Envelope::Cancel { id } => self.lock().open.get(&id.0).into_iter().for_each(|open| open.cancel()),
        }
    }

    /// Answers a call, unless it is answered already, cancelled, or its client gone.
    pub(super) fn answer(self: &Arc<Self>, id: CallId, open: &Arc<Open>, outcome: Result<P::Reply, CallFault>) {
        let mut state = self.lock();
        // The number may be another call's by now.
        if state.open.get(&id.0).is_some_and(|known| Arc::ptr_eq(known, open)) {
            state.open.remove(&id.0);
            if !open.is_cancelled() {
                self.put(&mut state, Response(Outcome { id, outcome }));
            }
            if state.attentive || !state.outbox.is_empty() {
                self.tell();
            }
        }
    }

    fn refuse(self: &Arc<Self>, id: CallId, fault: CallFault) {
        self.put(&mut self.lock(), Response(Outcome { id, outcome: Err(fault) }));
    }

    /// Sends an answer, behind those that wait.
    fn put(self: &Arc<Self>, state: &mut State<P>, response: Response<P::Reply>) {
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
    fn send(self: &Arc<Self>, state: &mut State<P>, mut response: Response<P::Reply>) -> bool {
        loop {
            let fault = match catch_unwind(AssertUnwindSafe(|| self.end.send(&response, &self.limits, Wait::Not))) {
                Ok(Ok(())) => return true,
                Ok(Err(NotSent::Full)) => {
                    state.outbox.push_front(response);
                    return false;
                }
                Ok(Err(NotSent::Closed)) => {
                    state.lose();
                    self.schedule(state);
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

    /// Sends the answers that wait, as far as there is room.
    pub(super) fn flush(self: &Arc<Self>) {
        let mut state = self.lock();
        while let Some(response) = state.outbox.pop_front() {
            if !self.send(&mut state, response) {
                return;
            }
        }
        self.schedule(&mut state);
    }

    fn lose(self: &Arc<Self>) {
        let mut state = self.lock();
        state.lose();
        self.schedule(&mut state);
    }

    /// Nothing more is taken from the client: its sends fail from now on, what it has sent can still be read, and whoever waits for more is
    /// woken.
    pub(super) fn stop(&self) {
        self.end.socket().shutdown(Direction::Receive);
    }

    /// Ends the channel, though somebody may still hold a `Reply`.
    pub(super) fn close(self: &Arc<Self>) {
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

impl<P: Protocol> State<P> {
    fn may_read(&self) -> bool {
        !self.ended && self.outbox.is_empty() && self.queue.len() < AHEAD
    }

    /// The client is gone: nobody waits for an answer.
    fn lose(&mut self) {
        self.gone = true;
        self.queue.retain(|call| call.id.is_none());
        self.outbox.clear();
        self.open.drain().for_each(|(_, open)| open.cancel());
    }
}
