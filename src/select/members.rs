//! The members of a select, and the one place where it waits.
//!
//! What the kernel's set holds, this list holds too: both change together, under one lock. A key that the kernel told and that is no
//! longer in the list is of a member that was removed since, and is dropped. The lock is not held while waiting.
//!
//! Messages of a batch that an end holds are not in the kernel. Such an end tells of it (`Registry::holds`), and while there is one the timer
//! stays expired: so every wait, and whoever waits for the set's descriptor, is woken at once, for the same calls as otherwise.

use super::{Ready, Token, Waker};
use crate::channel::End;
use crate::error::SystemError;
use crate::sys::epoll::{Epoll, For, Keys, MOST, Watched};
use crate::sys::{event, poll};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The keys of what every set holds, beside the tokens of its members.
const WAKES: u64 = 0;
const TIMER: u64 = 1;

fn new_token() -> Token {
    static NEXT: AtomicU64 = AtomicU64::new(TIMER + 1);
    Token(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// How long a wait may take.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Now,
    Moment(Instant),
    Forever,
}

impl Until {
    /// Beyond the end of the clock means for ever.
    pub(super) fn after(time: Duration) -> Until {
        Instant::now().checked_add(time).map_or(Until::Forever, Until::Moment)
    }
}

#[derive(Debug)]
pub(super) struct Members {
    epoll: Epoll,
    wakes: Arc<OwnedFd>,
    timer: OwnedFd,
    /// The process that made it.
    process: u32,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    members: HashMap<Token, Member>,
    deadlines: BTreeSet<(Instant, Token)>,
    /// Ends that hold messages.
    holding: BTreeSet<Token>,
    /// The last of them that was reported, so that they take turns.
    reported: Option<Token>,
}

#[derive(Debug)]
enum Member {
    /// An end, which closes its socket only after it has left; and the pidfd of its child.
    End {
        socket: Watched,
        child: Option<(Watched, Arc<OwnedFd>)>,
    },
    /// A duplicate of a descriptor.
    Fd(Watched, #[allow(dead_code, reason = "open as long as it is watched")] OwnedFd),
    Deadline(Instant),
}

impl Members {
    pub(super) fn new() -> Result<Members, SystemError> {
        let epoll = Epoll::new().map_err(SystemError::in_call("epoll_create1"))?;
        let wakes = event::eventfd().map_err(SystemError::in_call("eventfd"))?;
        let timer = event::timerfd().map_err(SystemError::in_call("timerfd_create"))?;
        // Nobody reads what the wakers write: each write is told once, to one wait.
        epoll.add(wakes.as_fd(), For::Arrivals, WAKES).map_err(SystemError::in_call("epoll_ctl"))?;
        epoll.add(timer.as_fd(), For::Reading, TIMER).map_err(SystemError::in_call("epoll_ctl"))?;
        Ok(Members { epoll, wakes: Arc::new(wakes), timer, process: std::process::id(), list: Mutex::default() })
    }

    /// Whether this is the process that made it. The kernel's set is shared with every fork of that: what a fork took out would be gone for
    /// the parent, and the list may have been locked by a thread that the fork does not have.
    fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    fn check(&self) -> Result<(), SystemError> {
        if self.is_ours() {
            return Ok(());
        }
        let why = "a fork shares it with the parent, which would lose events: make another in the fork";
        Err(SystemError { call: "using a `Select` of another process", source: io::Error::new(ErrorKind::Unsupported, why) })
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, fd: BorrowedFd<'_>, what: For, token: Token) -> Result<Watched, SystemError> {
        self.epoll.add(fd, what, token.0).map_err(SystemError::in_call("epoll_ctl"))
    }

    pub(super) fn add_end(&self, end: &End, what: For) -> Result<Token, SystemError> {
        self.check()?;
        let token = new_token();
        // Locked first: a wait may be told of it before it is in the list.
        let mut list = self.list();
        let socket = self.watch(end.as_fd(), what, token)?;
        let child = end.child().map(|pidfd| Ok((self.watch(pidfd.as_fd(), For::Reading, token)?, Arc::clone(pidfd)))).transpose();
        let child = child.inspect_err(|_| self.epoll.remove(&socket))?;
        list.members.insert(token, Member::End { socket, child });
        Ok(token)
    }

    pub(super) fn add_fd(&self, fd: BorrowedFd<'_>, what: For) -> Result<Token, SystemError> {
        self.check()?;
        let fd = fd.try_clone_to_owned().map_err(SystemError::in_call("fcntl"))?;
        let token = new_token();
        let mut list = self.list();
        let watched = self.watch(fd.as_fd(), what, token)?;
        list.members.insert(token, Member::Fd(watched, fd));
        Ok(token)
    }

    pub(super) fn add_deadline(&self, deadline: Instant) -> Token {
        let token = new_token();
        if self.is_ours() {
            let mut list = self.list();
            list.members.insert(token, Member::Deadline(deadline));
            list.deadlines.insert((deadline, token));
            if list.deadlines.first() == Some(&(deadline, token)) {
                self.set_timer(&list);
            }
        }
        token
    }

    pub(super) fn remove(&self, token: Token) -> bool {
        if !self.is_ours() {
            return false;
        }
        let mut list = self.list();
        let member = list.members.remove(&token);
        self.set_holding(&mut list, token, false);
        match &member {
            None => return false,
            Some(Member::End { socket, child }) => {
                self.epoll.remove(socket);
                child.iter().for_each(|(pidfd, _)| self.epoll.remove(pidfd));
            }
            Some(Member::Fd(watched, _)) => self.epoll.remove(watched),
            Some(Member::Deadline(deadline)) => {
                let was_first = list.deadlines.first() == Some(&(*deadline, token));
                list.deadlines.remove(&(*deadline, token));
                if was_first {
                    self.set_timer(&list);
                }
            }
        }
        // Closing a descriptor may take time, which is nobody else's.
        drop(list);
        drop(member);
        true
    }

    /// Notes whether an end holds messages.
    pub(super) fn holds(&self, token: Token, some: bool) {
        if self.is_ours() {
            let mut list = self.list();
            // It may have been taken out while its end still knew of this.
            let some = some && list.members.contains_key(&token);
            self.set_holding(&mut list, token, some);
        }
    }

    pub(super) fn len(&self) -> usize {
        if self.is_ours() { self.list().members.len() } else { 0 }
    }

    pub(super) fn waker(&self) -> Waker {
        Waker::new(Arc::clone(&self.wakes))
    }

    fn set_holding(&self, list: &mut List, token: Token, some: bool) {
        let before = list.holding.is_empty();
        if some {
            list.holding.insert(token);
        } else {
            list.holding.remove(&token);
        }
        if list.holding.is_empty() != before {
            self.set_timer(list);
        }
    }

    /// Sets the timer to the next deadline, or to now where an end holds messages. It is never read: setting it makes it unreadable.
    fn set_timer(&self, list: &List) {
        let next = list.deadlines.first().map(|(deadline, _)| deadline.saturating_duration_since(Instant::now()));
        let left = if list.holding.is_empty() { next } else { Some(Duration::ZERO) };
        // It cannot fail with a time that is none below zero, and a timer of our own.
        let _ = event::set_timer(self.timer.as_fd(), left);
    }

    /// Without a limit of time one call; with one, a look, and where there is nothing a `ppoll` and another look.
    pub(super) fn wait(&self, until: Until) -> Result<Ready, SystemError> {
        self.check()?;
        let mut ready = Ready::nothing();
        loop {
            let keys = self.epoll.look(matches!(until, Until::Forever)).map_err(SystemError::in_call("epoll_wait"))?;
            if keys.is_empty() {
                // The timer may have been set this very moment.
                self.list().report_holding(&mut ready);
                if !ready.is_empty() {
                    return Ok(ready);
                }
            } else {
                self.collect(&keys, &mut ready);
                if !ready.is_empty() || ready.woken() {
                    return Ok(ready);
                }
                // All of it was removed since, or another thread has reported it.
                continue;
            }
            let more = match until {
                Until::Now => false,
                Until::Moment(at) => {
                    poll::ready(self.epoll.as_fd(), poll::Interest::Read, Some(at)).map_err(SystemError::in_call("ppoll"))?
                }
                Until::Forever => true,
            };
            if !more {
                return Ok(ready);
            }
        }
    }

    /// The members that the keys stand for.
    fn collect(&self, keys: &Keys, ready: &mut Ready) {
        let mut list = self.list();
        let mut timer = false;
        for key in keys.iter() {
            match key {
                WAKES => ready.set_woken(),
                TIMER => timer = true,
                key => match list.members.get(&Token(key)) {
                    None => {}
                    // Two descriptors, one member.
                    Some(Member::End { child: Some(_), .. }) if ready.contains(Token(key)) => {}
                    Some(_) => ready.push(Token(key)),
                },
            }
        }
        if timer {
            // Last, so that they take no place of others; one of the keys was the timer's, so there is room for one at least.
            let now = Instant::now();
            while let Some(&(deadline, token)) = list.deadlines.first() {
                if deadline > now || ready.is_full() {
                    break;
                }
                list.deadlines.pop_first();
                list.members.remove(&token);
                ready.push(token);
            }
            if list.holding.is_empty() {
                self.set_timer(&list);
            }
        }
        list.report_holding(ready);
    }
}

impl List {
    /// Ends that hold messages, as many as there is room for beside what the kernel tells, and others the next time.
    fn report_holding(&mut self, ready: &mut Ready) {
        let last = self.reported.unwrap_or(Token(0));
        let (behind, before) = (self.holding.range((Bound::Excluded(last), Bound::Unbounded)), self.holding.range(..=last));
        for &token in behind.chain(before).take(MOST) {
            if !ready.contains(token) {
                ready.push(token);
            }
            self.reported = Some(token);
        }
    }
}

impl AsFd for Members {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nobody outside can bring about at will: a member that goes between the kernel's word and the list.
    #[test]
    fn what_was_removed_since_the_kernel_told_of_it_is_dropped() {
        let members = Members::new().unwrap();
        let always_writable = event::eventfd().unwrap();
        let [stays, goes] = [(); 2].map(|()| members.add_fd(always_writable.as_fd(), For::Writing).unwrap());
        let keys = members.epoll.look(false).unwrap();
        assert_eq!(keys.iter().collect::<Vec<_>>(), [stays.0, goes.0]);
        assert!(members.remove(goes));
        let mut ready = Ready::nothing();
        members.collect(&keys, &mut ready);
        assert_eq!(ready.as_slice(), [stays]);
    }
}
