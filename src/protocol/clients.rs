//! The clients of a service that serves many: who brings them, and where they wait for it.

use super::call::ClientId;
use super::serving::Serving;
use super::{Protocol, ServiceEnd};
use crate::error::SystemError;
use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Takes clients from somewhere.
pub(super) type Accept<P> = Box<dyn FnMut(&Clients<P>) -> ControlFlow<()> + Send>;

/// Makes a place where clients arrive, and what serves them from there: for [`Server::serve_all`](super::Server::serve_all).
///
/// ```
/// use breezeway::protocol::{self, Call};
/// use std::thread;
///
/// #[breezeway::protocol]
/// trait Adder {
///     fn add(a: u32, b: u32) -> u32;
/// }
///
/// struct Plain;
///
/// impl AdderService for Plain {
///     fn add(&self, _: &Call, a: u32, b: u32) -> u32 {
///         a + b
///     }
/// }
///
/// let (clients, arrivals) = protocol::clients::<Adder>();
/// let service = thread::spawn(|| Adder::server(Plain).serve_all(arrivals));
/// let (one, end) = Adder::pair()?;
/// clients.add(end).map_err(|_| "not served")?;
/// let (other, end) = Adder::pair()?;
/// clients.add(end).map_err(|_| "not served")?;
/// assert_eq!(one.add(1, 2)? + other.add(3, 4)?, 10);
/// // Nobody brings more, and these go: it ends.
/// drop((clients, one, other));
/// service.join().map_err(|_| "the service panicked")??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn clients<P: Protocol>() -> (Clients<P>, Arrivals<P>) {
    let serving = Serving::new();
    serving.count_bringer(true);
    (Clients { serving: Arc::clone(&serving), keeps: true }, Arrivals { serving })
}

/// Brings clients to a service that serves many, before it serves and while it does, from any thread and from its own handlers.
///
/// As long as one of these exists, the service waits for more clients. One that a service holds itself would keep it waiting for ever: that is
/// what [`weak`](Clients::weak) ones are for. All clones bring to the same service.
pub struct Clients<P: Protocol> {
    serving: Arc<Serving<P>>,
    /// Counted among those for whom the service waits.
    keeps: bool,
}

impl<P: Protocol> Clients<P> {
    pub(super) fn passing(serving: &Arc<Serving<P>>) -> Clients<P> {
        Clients { serving: Arc::clone(serving), keeps: false }
    }

    /// Another that brings clients to the same service, and for which that does not wait: for its own handlers.
    #[must_use]
    pub fn weak(&self) -> Clients<P> {
        Clients::passing(&self.serving)
    }

    /// Has the service serve one more client. Never waits; what the client sends is read as soon as the service's loop gets to it.
    ///
    /// # Errors
    ///
    /// The channel itself: the service has ended.
    pub fn add(&self, channel: ServiceEnd<P>) -> Result<ClientId, ServiceEnd<P>> {
        self.serving.bring(channel)
    }

    /// Has the service's loop call `accept` whenever there is something to read: a connection on a listener, a message on a channel. It brings
    /// clients by what it is given, until it says `Break`; until then the service waits for more.
    ///
    /// It is called between the handling of calls, so it must not wait: it takes one, or what is there. A duplicate of the descriptor is
    /// kept. A service that stops takes it out.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory; or this descriptor is of a kind that cannot be waited for.
    pub fn accept_from(
        &self,
        fd: impl AsFd,
        accept: impl FnMut(&Clients<P>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(), SystemError> {
        self.serving.watch(fd.as_fd(), Box::new(accept))
    }
}

impl<P: Protocol> Clone for Clients<P> {
    fn clone(&self) -> Clients<P> {
        if self.keeps {
            self.serving.count_bringer(true);
        }
        Clients { serving: Arc::clone(&self.serving), keeps: self.keeps }
    }
}

impl<P: Protocol> Drop for Clients<P> {
    fn drop(&mut self) {
        if self.keeps {
            self.serving.count_bringer(false);
        }
    }
}

impl<P: Protocol> fmt::Debug for Clients<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("protocol", &P::NAME).field("keeps", &self.keeps).finish_non_exhaustive()
    }
}

/// Where clients have arrived, and will, to be served by one loop. Dropped, it serves nobody: their calls fail as closed.
#[must_use = "nobody is served before this is"]
pub struct Arrivals<P: Protocol> {
    pub(super) serving: Arc<Serving<P>>,
}

impl<P: Protocol> Drop for Arrivals<P> {
    fn drop(&mut self) {
        self.serving.end();
    }
}

impl<P: Protocol> fmt::Debug for Arrivals<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").field("protocol", &P::NAME).finish_non_exhaustive()
    }
}
