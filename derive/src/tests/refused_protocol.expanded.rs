/// The protocol `Pair`: [`PairClient`] calls what a [`PairService`] does.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
enum Pair {}
impl crate::__private::protocol::Protocol for Pair {
    const NAME: &'static ::core::primitive::str = "Pair";
    type Request = PairRequest;
    type Reply = PairReply;
}
impl Pair {
    /// A client, and the end of its channel for a service.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    fn pair() -> ::std::io::Result<
        (PairClient, crate::__private::protocol::ServiceEnd<Self>),
    > {
        let (ours, theirs) = crate::__private::protocol::pair::<Self>()?;
        ::core::result::Result::Ok((PairClient::new(ours), theirs))
    }
    /// Serves one client until it closes its end, each call in turn.
    ///
    /// # Errors
    ///
    /// A system call failed, and with it the channel.
    fn serve<S: PairService>(
        service: S,
        channel: crate::__private::protocol::ServiceEnd<Self>,
    ) -> ::core::result::Result<(), crate::__private::protocol::SystemError> {
        Self::server(service).serve(channel)
    }
    /// A server, with options: for several threads, several clients, and an end that is graceful.
    fn server<S: PairService>(
        service: S,
    ) -> crate::__private::protocol::Server<Self, S> {
        crate::__private::protocol::Server::new(
            service,
            |service, request, incoming| match request {
                PairRequest::Right => {
                    incoming
                        .answer(|call| PairReply::Right(
                            <S as PairService>::right(service, call),
                        ))
                }
            },
        )
    }
    /// A client of a service in this process, which a thread serves: for tests of the service.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor, no memory or no thread is free.
    fn in_process<S: PairService + ::core::marker::Send + 'static>(
        service: S,
    ) -> ::std::io::Result<crate::__private::protocol::InProcess<PairClient>> {
        let (client, channel) = Self::pair()?;
        crate::__private::protocol::InProcess::new(
            client,
            channel,
            Self::server(service),
        )
    }
}
/// All calls of the protocol [`Pair`], as they travel.
#[derive(crate::__private::DeriveMessage)]
#[message(crate = "crate")]
enum PairRequest {
    /// A call of [`right`](PairService::right).
    #[serde(rename = "right")]
    Right,
}
/// All answers of the protocol [`Pair`], as they travel.
#[derive(crate::__private::DeriveMessage)]
#[message(crate = "crate")]
enum PairReply {
    /// What [`right`](PairService::right) answers.
    #[serde(rename = "right")]
    Right(std::io::Result<u8>),
}
/// Calls a [`PairService`] of the protocol [`Pair`] in another process, or in another thread.
///
/// Any number of threads may call at the same time, over one channel. Clones share the channel.
#[derive(::core::clone::Clone, ::core::fmt::Debug, crate::__private::DeriveMessage)]
#[message(crate = "crate")]
struct PairClient(crate::__private::protocol::Caller<Pair>);
impl PairClient {
    /// A client on this channel, whose calls wait as long as it takes.
    #[must_use]
    fn new(channel: crate::__private::protocol::ClientEnd<Pair>) -> Self {
        Self(crate::__private::protocol::Caller::new(channel))
    }
    /// The same client, each of whose calls waits this long at most: for room to send it, and for its answer.
    #[must_use]
    fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }
    /// The same client, whose calls wait until then at most.
    #[must_use]
    fn with_deadline(&self, deadline: ::std::time::Instant) -> Self {
        Self(self.0.with_deadline(deadline))
    }
    /// Whether the service is gone, or takes no more calls. Never waits.
    #[must_use]
    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
    /// # Errors
    ///
    /// Every `CallError`: `Answer` is the service's own answer.
    fn right(
        &self,
    ) -> ::core::result::Result<
        <std::io::Result<u8> as crate::__private::protocol::Answer>::Ok,
        crate::__private::protocol::CallError<
            <std::io::Result<u8> as crate::__private::protocol::Answer>::Err,
        >,
    > {
        self.start_right().wait()
    }
    /// Sends the call [`right`](Self::right), to wait for its answer later.
    fn start_right(
        &self,
    ) -> crate::__private::protocol::Pending<
        Pair,
        <std::io::Result<u8> as crate::__private::protocol::Answer>::Ok,
        <std::io::Result<u8> as crate::__private::protocol::Answer>::Err,
    > {
        self.0
            .start(
                PairRequest::Right,
                |reply| {
                    let PairReply::Right(answer) = reply;
                    ::core::option::Option::Some(
                        crate::__private::protocol::Answer::into_result(answer),
                    )
                },
            )
    }
}
/// A service of the protocol [`Pair`], whose methods are called by [`PairClient`]s.
trait PairService {
    fn right(&self, call: &crate::__private::protocol::Call<'_>) -> std::io::Result<u8>;
}
impl<S: PairService + ?::core::marker::Sized> PairService for &S {
    fn right(&self, call: &crate::__private::protocol::Call<'_>) -> std::io::Result<u8> {
        <S as PairService>::right(self, call)
    }
}
impl<S: PairService + ?::core::marker::Sized> PairService for ::std::sync::Arc<S> {
    fn right(&self, call: &crate::__private::protocol::Call<'_>) -> std::io::Result<u8> {
        <S as PairService>::right(self, call)
    }
}
::core::compile_error! {
    "a method has no `self`: its arguments are what travels, and the service's method gets `&self`; remove this"
}
