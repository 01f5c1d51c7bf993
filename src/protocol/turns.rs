//! The loop of a service: its clients take turns, at being read from and at being handled.
//!
//! In each round it reads one message of every client that has sent some, and then handles one of every client that it has read some of.
//! So one that floods keeps nobody waiting for more than one of its messages. **It never waits for one client where
//! there are others**: answers for which there is no room are waited for as messages are. Layer below: [`connection`](super::connection).

use super::Protocol;
use super::call::ClientId;
use super::connection::{Accepted, Connection};
use super::serving::{News, Serving};
use crate::channel::Ready;
use crate::error::SystemError;
use crate::select::Token;
use crate::transport::Wait;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// How clients are served.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// The most calls of a client that may be open.
    pub(super) calls: usize,
    /// Handlers run in threads of their own, beside the loop.
    pub(super) threaded: bool,
    /// One client, who is there already, and no other.
    pub(super) alone: bool,
}

/// What handles a call.
type Handle<'h, P> = &'h mut dyn FnMut(&Arc<Connection<P>>, Accepted<<P as Protocol>::Request>);

pub(super) struct Turns<'a, P: Protocol> {
    pub(super) serving: &'a Arc<Serving<P>>,
    rules: Rules,
    /// Told of every client that is gone, and of the system call that failed if that is why.
    gone: &'a mut dyn FnMut(ClientId, Result<(), SystemError>),
    members: HashMap<ClientId, Member<P>>,
    tokens: HashMap<Token, ClientId>,
    /// Where something may have changed since it was settled what is waited for.
    touched: Vec<ClientId>,
}

struct Member<P: Protocol> {
    connection: Arc<Connection<P>>,
    watched: Option<(Token, Ready)>,
}

impl<'a, P: Protocol> Turns<'a, P> {
    pub(super) fn new(serving: &'a Arc<Serving<P>>, rules: Rules, gone: &'a mut dyn FnMut(ClientId, Result<(), SystemError>)) -> Self {
        Turns { serving, rules, gone, members: HashMap::new(), tokens: HashMap::new(), touched: Vec::new() }
    }

    /// Serves until nobody is left, nor will come, or the service has stopped.
    pub(super) fn run(&mut self, mut handle: impl FnMut(&Arc<Connection<P>>, Accepted<P::Request>)) -> Result<(), SystemError> {
        let served = self.rounds(&mut handle);
        let rest: Vec<_> = self.members.keys().copied().collect();
        rest.into_iter().for_each(|client| self.remove(client, Ok(())));
        served
    }

    fn rounds(&mut self, handle: Handle<'_, P>) -> Result<(), SystemError> {
        if !self.rules.alone || self.rules.threaded {
            // Before the first look at what others have done.
            self.serving.select()?;
        }
        loop {
            let give_up = self.hear();
            self.touched.iter().filter_map(|client| self.members.get(client)).for_each(|member| member.connection.flush());
            if !self.rules.threaded {
                // Not until there is nothing: a handler may read ahead, and what it reads waits for the next round.
                for _ in 0..self.serving.scheduled_count() {
                    let Some(connection) = self.serving.scheduled() else { break };
                    if let Some(call) = connection.next() {
                        guarded(&connection, call, &mut *handle);
                    }
                }
            }
            let touched = std::mem::take(&mut self.touched);
            for client in &touched {
                if self.members.get(client).is_some_and(|member| member.connection.is_finished()) {
                    self.remove(*client, Ok(()));
                }
            }
            self.touched = touched;
            if self.serving.is_over() || give_up.is_some_and(|give_up| give_up <= Instant::now()) {
                return Ok(());
            }
            self.wait(give_up)?;
        }
    }

    /// Takes what has come from elsewhere; when to give up, if that was said.
    fn hear(&mut self) -> Option<Instant> {
        let News { arrived, changed, give_up } = self.serving.news();
        for (client, channel) in arrived {
            let connection = Arc::new(Connection::new(self.serving, client, &channel, self.rules.calls, self.rules.threaded));
            self.serving.enter(&connection);
            self.members.insert(client, Member { connection, watched: None });
            self.touched.push(client);
        }
        for client in changed {
            self.members.get(&client).into_iter().for_each(|member| member.connection.hear());
            self.touched.push(client);
        }
        give_up
    }

    /// Waits until something can go on, and does it.
    fn wait(&mut self, give_up: Option<Instant>) -> Result<(), SystemError> {
        let busy = !self.rules.threaded && self.serving.scheduled_count() > 0;
        if busy && self.rules.alone {
            return Ok(());
        }
        if let Some(client) = self.idle() {
            self.touched.splice(.., [client]);
            self.act(client, |connection| connection.read(give_up.map_or(Wait::Forever, Wait::Until)));
            return Ok(());
        }
        if !self.serving.has_select() {
            // What others did until now woke nobody.
            return self.serving.select().map(drop);
        }
        let gone = std::mem::take(&mut self.touched).into_iter().filter(|&client| !self.watch(client)).count();
        if gone > 0 {
            // Perhaps nobody is left.
            return Ok(());
        }
        let select = self.serving.select()?;
        let ready = match give_up {
            _ if busy => select.try_wait()?,
            None => select.wait()?,
            Some(give_up) => select.wait_deadline(give_up)?,
        };
        for token in &ready {
            match self.tokens.get(&token).copied() {
                None => self.serving.accept(token),
                Some(client) => {
                    let wanted = self.members.get(&client).and_then(|member| member.watched).map(|(_, wanted)| wanted).unwrap_or_default();
                    self.touched.push(client);
                    self.act(client, |connection| connection.turn(wanted));
                }
            }
        }
        Ok(())
    }

    /// The only client, if there is nothing to do but read from it: then one call waits and reads.
    fn idle(&self) -> Option<ClientId> {
        let only = self.members.values().next().filter(|_| self.rules.alone && !self.rules.threaded)?;
        only.connection.is_idle().then_some(only.connection.client)
    }

    fn act(&mut self, client: ClientId, act: impl FnOnce(&Arc<Connection<P>>) -> Result<(), SystemError>) {
        let acted = self.members.get(&client).map_or(Ok(()), |member| act(&member.connection));
        acted.unwrap_or_else(|error| self.remove(client, Err(error)));
    }

    /// Waits for what a connection wants from now on; `false` if that failed, and the client is gone.
    fn watch(&mut self, client: ClientId) -> bool {
        let Some(member) = self.members.get_mut(&client) else { return true };
        let wanted = member.connection.wanted();
        if wanted.is_none_or(|wanted| !wanted.read) && member.connection.is_finished() {
            // By the last answer that another thread has given before it had to tell of it.
            self.remove(client, Ok(()));
            return false;
        }
        // After its end it is no member of the select any more; then it wants something else.
        if wanted == member.watched.map(|(_, wanted)| wanted) {
            return true;
        }
        let watched = self.serving.select().and_then(|select| {
            if let Some((token, _)) = member.watched.take() {
                self.tokens.remove(&token);
                select.remove(token);
            }
            wanted.map(|wanted| Ok((select.watch(member.connection.end(), wanted)?, wanted))).transpose()
        });
        match watched {
            Ok(watched) => {
                member.watched = watched;
                self.tokens.extend(watched.map(|(token, _)| (token, client)));
                true
            }
            Err(error) => {
                self.remove(client, Err(error));
                false
            }
        }
    }

    fn remove(&mut self, client: ClientId, outcome: Result<(), SystemError>) {
        let Some(member) = self.members.remove(&client) else { return };
        if let (Some((token, _)), Ok(select)) = (member.watched, self.serving.select()) {
            self.tokens.remove(&token);
            select.remove(token);
        }
        self.serving.leave(client);
        member.connection.close();
        (self.gone)(client, outcome);
    }
}

/// Also by a panic of the service's own thread, in the destructor of a service, say.
impl<P: Protocol> Drop for Turns<'_, P> {
    fn drop(&mut self) {
        self.serving.end();
        self.members.values().for_each(|member| member.connection.close());
    }
}

/// Handles a call. A panic of the handler is its caller's; one beyond that, in the destructor of an answer, say, is the end of that client.
pub(super) fn guarded<P: Protocol>(
    connection: &Arc<Connection<P>>,
    call: Accepted<P::Request>,
    handle: impl FnOnce(&Arc<Connection<P>>, Accepted<P::Request>),
) {
    if catch_unwind(AssertUnwindSafe(|| handle(connection, call))).is_err() {
        connection.close();
        connection.tell();
    }
}
