//! The calls of one client that are under way: which are answered, who waits for which, and who receives for all.
//!
//! At most one caller receives, the *reader*; the others sleep until their answer is put here or the reader leaves. Whoever stops being the
//! reader, and whoever is woken to become it and leaves instead, wakes another: as long as somebody waits, somebody reads. Knows no sockets.

use super::error::CallError;
use super::message::CallId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread::Thread;

pub(super) type Answered<R> = Result<R, CallError>;

pub(super) struct Table<R> {
    last: u64,
    /// Every call that is under way; `None` until it is answered.
    calls: HashMap<u64, Option<Answered<R>>>,
    /// The threads that sleep, by the call that they wait for.
    waiting: BTreeMap<u64, Thread>,
    /// Somebody receives.
    reading: bool,
    /// Nothing will be received any more.
    over: bool,
}

/// What was received.
pub(super) enum Event<R> {
    Answer(CallId, Answered<R>),
    /// It is not known whose answer it was, if it was one.
    Garbled(CallError),
    Nothing,
    Closed,
}

impl<R> Table<R> {
    pub(super) fn new() -> Table<R> {
        Table { last: 0, calls: HashMap::new(), waiting: BTreeMap::new(), reading: false, over: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// A call that begins; `None` if there is nobody to answer it.
    pub(super) fn begin(&mut self) -> Option<CallId> {
        if self.over {
            return None;
        }
        self.last += 1;
        self.calls.insert(self.last, None);
        Some(CallId(self.last))
    }

    /// Takes the answer of a call, if it is there. The call is then over.
    pub(super) fn take(&mut self, id: CallId) -> Option<Answered<R>> {
        match self.calls.get(&id.0) {
            Some(None) => None,
            Some(Some(_)) => self.calls.remove(&id.0).flatten(),
            None => Some(Err(CallError::Cancelled)),
        }
    }

    /// Ends a call whatever has come of it: whether an answer is still to come, and the answer that came.
    pub(super) fn end(&mut self, id: CallId) -> (bool, Option<Answered<R>>) {
        match self.calls.remove(&id.0) {
            Some(None) => (!self.over, None),
            Some(answered) => (false, answered),
            None => (false, None),
        }
    }

    /// Ends a call that is not answered, for whoever waits for it: whether it was so.
    pub(super) fn cancel(&mut self, id: CallId) -> bool {
        let awaited = matches!(self.calls.get(&id.0), Some(None));
        if awaited {
            self.calls.remove(&id.0);
            self.waiting.get(&id.0).into_iter().for_each(Thread::unpark);
        }
        awaited
    }

    /// Makes the caller the reader, if there is none.
    pub(super) fn read(&mut self) -> bool {
        !std::mem::replace(&mut self.reading, true)
    }

    /// Ends the caller's being the reader.
    pub(super) fn stop_reading(&mut self) {
        self.reading = false;
    }

    pub(super) fn sleeps(&mut self, id: CallId, thread: Thread) {
        self.waiting.insert(id.0, thread);
    }

    pub(super) fn woke(&mut self, id: CallId) {
        self.waiting.remove(&id.0);
    }

    /// Wakes the caller that has slept longest, to become the reader, if there is none.
    pub(super) fn pass_on(&mut self) {
        if !self.reading {
            self.waiting.first_key_value().into_iter().for_each(|(_, thread)| thread.unpark());
        }
    }

    /// Puts what was received where it belongs. What belongs to nobody is given back, to be dropped without the lock.
    pub(super) fn settle(&mut self, event: Event<R>) -> Option<Answered<R>> {
        match event {
            Event::Nothing => None,
            Event::Answer(CallId::EVERY, answer) => {
                if let Err(error) = answer {
                    self.fail_all(&error);
                }
                None
            }
            Event::Answer(id, answer) => match self.calls.get_mut(&id.0) {
                Some(slot @ None) => {
                    *slot = Some(answer);
                    self.waiting.get(&id.0).into_iter().for_each(Thread::unpark);
                    None
                }
                // Too late, cancelled, answered before, or never asked.
                _ => Some(answer),
            },
            Event::Garbled(error) => {
                self.fail_all(&error);
                None
            }
            Event::Closed => {
                self.over = true;
                self.fail_all(&CallError::Closed);
                None
            }
        }
    }

    fn fail_all(&mut self, error: &CallError) {
        self.calls.values_mut().filter(|slot| slot.is_none()).for_each(|slot| *slot = Some(Err(copy(error))));
        self.waiting.values().for_each(Thread::unpark);
    }
}

/// The same error for one more caller.
fn copy(error: &CallError) -> CallError {
    match error {
        CallError::Fault(fault) => CallError::Fault(Arc::clone(fault)),
        CallError::Malformed(text) => CallError::Malformed(text.clone()),
        CallError::Unable(text) => CallError::Unable(text.clone()),
        CallError::Panicked(text) => CallError::Panicked(text.clone()),
        CallError::UnknownMethod => CallError::UnknownMethod,
        CallError::Unanswered => CallError::Unanswered,
        // What else can be said to every caller is that nobody will answer.
        _ => CallError::Closed,
    }
}
