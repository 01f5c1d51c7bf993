//! A service and its client in one process, for tests of services.

use super::{Protocol, Server, ServiceEnd, Stop};
use std::io;
use std::ops::Deref;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A client, and the thread that serves it: made by the `in_process` function of a protocol's type.
///
/// It dereferences to the client. Dropping it ends the service and waits for the handler that runs; calls that clones of the client still
/// have under way end with `Closed`.
#[derive(Debug)]
pub struct InProcess<C> {
    client: C,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl<C> InProcess<C> {
    /// Has a thread serve this end, the other end of which is the client's.
    ///
    /// # Errors
    ///
    /// No thread could be started.
    pub fn new<P: Protocol, S: Send + 'static>(client: C, channel: ServiceEnd<P>, server: Server<P, S>) -> io::Result<InProcess<C>> {
        let stop = server.stop_handle();
        // An error of the service's side shows itself to the client as a closed channel.
        let serve = move || _ = server.serve(channel);
        let thread = thread::Builder::new().name(P::NAME.to_owned()).spawn(serve)?;
        Ok(InProcess { client, stop, thread: Some(thread) })
    }
}

impl<C> Deref for InProcess<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.client
    }
}

impl<C> Drop for InProcess<C> {
    fn drop(&mut self) {
        self.stop.stop(Duration::ZERO);
        // A panic in it has been printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
