/// The protocol `Store`: [`StoreClient`] calls what a [`StoreService`] does.
///
/// Where values are kept.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
pub enum Store {}
impl ::breezeway::__private::protocol::Protocol for Store {
    const NAME: &'static ::core::primitive::str = "Store";
    type Request = StoreRequest;
    type Reply = StoreReply;
}
impl Store {
    /// A client, and the end of its channel for a service.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor is free, or no memory.
    pub fn pair() -> ::std::io::Result<
        (StoreClient, ::breezeway::__private::protocol::ServiceEnd<Self>),
    > {
        let (ours, theirs) = ::breezeway::__private::protocol::pair::<Self>()?;
        ::core::result::Result::Ok((StoreClient::new(ours), theirs))
    }
    /// Serves one client until it closes its end, each call in turn.
    ///
    /// # Errors
    ///
    /// A system call failed, and with it the channel.
    pub fn serve<S: StoreService>(
        service: S,
        channel: ::breezeway::__private::protocol::ServiceEnd<Self>,
    ) -> ::core::result::Result<(), ::breezeway::__private::protocol::SystemError> {
        Self::server(service).serve(channel)
    }
    /// A server, with options: for several threads, several clients, and an end that is graceful.
    pub fn server<S: StoreService>(
        service: S,
    ) -> ::breezeway::__private::protocol::Server<Self, S> {
        ::breezeway::__private::protocol::Server::new(
            service,
            |service, request, incoming| match request {
                StoreRequest::Get { key } => {
                    incoming
                        .answer(|call| StoreReply::Get(
                            <S as StoreService>::get(service, call, key),
                        ))
                }
                StoreRequest::Open { path } => {
                    incoming
                        .answer(|call| StoreReply::Open(
                            <S as StoreService>::open(service, call, path),
                        ))
                }
                StoreRequest::Flush => {
                    incoming
                        .answer(|call| {
                            <S as StoreService>::flush(service, call);
                            StoreReply::Flush
                        })
                }
                StoreRequest::Note { line } => {
                    incoming.note(|call| <S as StoreService>::note(service, call, line))
                }
                StoreRequest::Watch { prefix } => {
                    incoming
                        .stream(
                            StoreReply::Watch,
                            |call, feed| <S as StoreService>::watch(
                                service,
                                call,
                                prefix,
                                feed,
                            ),
                        )
                }
                StoreRequest::Await { key } => {
                    incoming
                        .later(
                            StoreReply::Await,
                            |call, reply| <S as StoreService>::r#await(
                                service,
                                call,
                                key,
                                reply,
                            ),
                        )
                }
            },
        )
    }
    /// A client of a service in this process, which a thread serves: for tests of the service.
    ///
    /// # Errors
    ///
    /// What the kernel says: no descriptor, no memory or no thread is free.
    pub fn in_process<S: StoreService + ::core::marker::Send + 'static>(
        service: S,
    ) -> ::std::io::Result<::breezeway::__private::protocol::InProcess<StoreClient>> {
        let (client, channel) = Self::pair()?;
        ::breezeway::__private::protocol::InProcess::new(
            client,
            channel,
            Self::server(service),
        )
    }
}
/// All calls of the protocol [`Store`], as they travel.
///
/// Where values are kept.
#[derive(Debug, ::breezeway::__private::DeriveMessage)]
pub enum StoreRequest {
    /// A call of [`get`](StoreService::get).
    ///
    /// What is kept under a key.
    #[serde(rename = "get")]
    Get {
        /// The argument `key`.
        key: String,
    },
    /// A call of [`open`](StoreService::open).
    #[serde(rename = "open")]
    Open {
        /// The argument `path`.
        path: PathBuf,
    },
    /// A call of [`flush`](StoreService::flush).
    #[serde(rename = "flush")]
    Flush,
    /// A call of [`note`](StoreService::note).
    #[serde(rename = "note")]
    Note {
        /// The argument `line`.
        line: String,
    },
    /// A call of [`watch`](StoreService::watch).
    #[serde(rename = "watch")]
    Watch {
        /// The argument `prefix`.
        prefix: String,
    },
    /// A call of [`await`](StoreService::await).
    #[serde(rename = "await")]
    Await {
        /// The argument `key`.
        key: String,
    },
}
/// All answers of the protocol [`Store`], as they travel.
///
/// Where values are kept.
#[derive(Debug, ::breezeway::__private::DeriveMessage)]
pub enum StoreReply {
    /// What [`get`](StoreService::get) answers.
    ///
    /// What is kept under a key.
    #[serde(rename = "get")]
    Get(Option<Bytes>),
    /// What [`open`](StoreService::open) answers.
    #[serde(rename = "open")]
    Open(Result<File, NotOpened>),
    /// What [`flush`](StoreService::flush) answers.
    #[serde(rename = "flush")]
    Flush,
    /// What [`watch`](StoreService::watch) answers.
    #[serde(rename = "watch")]
    Watch(Stream<Change>),
    /// What [`await`](StoreService::await) answers.
    #[serde(rename = "await")]
    Await(Bytes),
}
/// Calls a [`StoreService`] of the protocol [`Store`] in another process, or in another thread.
///
/// Where values are kept.
///
/// Any number of threads may call at the same time, over one channel. Clones share the channel.
#[derive(
    ::core::clone::Clone,
    ::core::fmt::Debug,
    ::breezeway::__private::DeriveMessage
)]
pub struct StoreClient(::breezeway::__private::protocol::Caller<Store>);
impl StoreClient {
    /// A client on this channel, whose calls wait as long as it takes.
    #[must_use]
    pub fn new(channel: ::breezeway::__private::protocol::ClientEnd<Store>) -> Self {
        Self(::breezeway::__private::protocol::Caller::new(channel))
    }
    /// The same client, each of whose calls waits this long at most: for room to send it, and for its answer.
    #[must_use]
    pub fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
        Self(self.0.with_timeout(timeout))
    }
    /// The same client, whose calls wait until then at most.
    #[must_use]
    pub fn with_deadline(&self, deadline: ::std::time::Instant) -> Self {
        Self(self.0.with_deadline(deadline))
    }
    /// Whether the service is gone, or takes no more calls. Never waits.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
    /// What is kept under a key.
    ///
    /// # Errors
    ///
    /// Every `CallError` but `Answer`.
    pub fn get(
        &self,
        key: String,
    ) -> ::core::result::Result<
        Option<Bytes>,
        ::breezeway::__private::protocol::CallError,
    > {
        self.start_get(key).wait()
    }
    /// Sends the call [`get`](Self::get), to wait for its answer later.
    pub fn start_get(
        &self,
        key: String,
    ) -> ::breezeway::__private::protocol::Pending<Store, Option<Bytes>> {
        self.0
            .start(
                StoreRequest::Get { key },
                |reply| {
                    let StoreReply::Get(answer) = reply else {
                        return ::core::option::Option::None
                    };
                    ::core::option::Option::Some(::core::result::Result::Ok(answer))
                },
            )
    }
    /// # Errors
    ///
    /// Every `CallError`: `Answer` is the service's own answer.
    pub fn open(
        &self,
        path: PathBuf,
    ) -> ::core::result::Result<
        File,
        ::breezeway::__private::protocol::CallError<NotOpened>,
    > {
        self.start_open(path).wait()
    }
    /// Sends the call [`open`](Self::open), to wait for its answer later.
    pub fn start_open(
        &self,
        path: PathBuf,
    ) -> ::breezeway::__private::protocol::Pending<Store, File, NotOpened> {
        self.0
            .start(
                StoreRequest::Open { path },
                |reply| {
                    let StoreReply::Open(answer) = reply else {
                        return ::core::option::Option::None
                    };
                    ::core::option::Option::Some(
                        ::breezeway::__private::protocol::Answer::into_result(answer),
                    )
                },
            )
    }
    /// # Errors
    ///
    /// Every `CallError` but `Answer`.
    pub fn flush(
        &self,
    ) -> ::core::result::Result<(), ::breezeway::__private::protocol::CallError> {
        self.start_flush().wait()
    }
    /// Sends the call [`flush`](Self::flush), to wait for its answer later.
    pub fn start_flush(&self) -> ::breezeway::__private::protocol::Pending<Store, ()> {
        self.0
            .start(
                StoreRequest::Flush,
                |reply| {
                    let StoreReply::Flush = reply else {
                        return ::core::option::Option::None
                    };
                    ::core::option::Option::Some(::core::result::Result::Ok(()))
                },
            )
    }
    /// Not answered: whether the service carries it out is not known. Waits for room to send it.
    ///
    /// # Errors
    ///
    /// `NotSent`.
    pub fn note(
        &self,
        line: String,
    ) -> ::core::result::Result<(), ::breezeway::__private::protocol::CallError> {
        self.0.notify(StoreRequest::Note { line })
    }
    /// # Errors
    ///
    /// Every `CallError` but `Answer`.
    pub fn watch(
        &self,
        prefix: String,
    ) -> ::core::result::Result<
        Stream<Change>,
        ::breezeway::__private::protocol::CallError,
    > {
        self.start_watch(prefix).wait()
    }
    /// Sends the call [`watch`](Self::watch), to wait for its answer later.
    pub fn start_watch(
        &self,
        prefix: String,
    ) -> ::breezeway::__private::protocol::Pending<Store, Stream<Change>> {
        self.0
            .start(
                StoreRequest::Watch { prefix },
                |reply| {
                    let StoreReply::Watch(answer) = reply else {
                        return ::core::option::Option::None
                    };
                    ::core::option::Option::Some(::core::result::Result::Ok(answer))
                },
            )
    }
    /// # Errors
    ///
    /// Every `CallError` but `Answer`.
    pub fn r#await(
        &self,
        key: String,
    ) -> ::core::result::Result<Bytes, ::breezeway::__private::protocol::CallError> {
        self.start_await(key).wait()
    }
    /// Sends the call [`await`](Self::await), to wait for its answer later.
    pub fn start_await(
        &self,
        key: String,
    ) -> ::breezeway::__private::protocol::Pending<Store, Bytes> {
        self.0
            .start(
                StoreRequest::Await { key },
                |reply| {
                    let StoreReply::Await(answer) = reply else {
                        return ::core::option::Option::None
                    };
                    ::core::option::Option::Some(::core::result::Result::Ok(answer))
                },
            )
    }
}
/// A service of the protocol [`Store`], whose methods are called by [`StoreClient`]s.
///
/// Where values are kept.
pub trait StoreService {
    /// What is kept under a key.
    fn get(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        key: String,
    ) -> Option<Bytes>;
    fn open(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        path: PathBuf,
    ) -> Result<File, NotOpened>;
    fn flush(&self, call: &::breezeway::__private::protocol::Call<'_>);
    /// Not answered.
    fn note(&self, call: &::breezeway::__private::protocol::Call<'_>, line: String);
    /// Answered by the stream that the `Feed` belongs to, which the caller has already.
    fn watch(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        prefix: String,
        feed: ::breezeway::__private::protocol::Feed<Change>,
    );
    /// Answered by the `Reply`, now or later.
    fn r#await(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        key: String,
        reply: ::breezeway::__private::protocol::Reply<Store, Bytes>,
    );
}
impl<S: StoreService + ?::core::marker::Sized> StoreService for &S {
    fn get(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        key: String,
    ) -> Option<Bytes> {
        <S as StoreService>::get(self, call, key)
    }
    fn open(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        path: PathBuf,
    ) -> Result<File, NotOpened> {
        <S as StoreService>::open(self, call, path)
    }
    fn flush(&self, call: &::breezeway::__private::protocol::Call<'_>) {
        <S as StoreService>::flush(self, call)
    }
    fn note(&self, call: &::breezeway::__private::protocol::Call<'_>, line: String) {
        <S as StoreService>::note(self, call, line)
    }
    fn watch(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        prefix: String,
        feed: ::breezeway::__private::protocol::Feed<Change>,
    ) {
        <S as StoreService>::watch(self, call, prefix, feed)
    }
    fn r#await(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        key: String,
        reply: ::breezeway::__private::protocol::Reply<Store, Bytes>,
    ) {
        <S as StoreService>::r#await(self, call, key, reply)
    }
}
impl<S: StoreService + ?::core::marker::Sized> StoreService for ::std::sync::Arc<S> {
    fn get(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        key: String,
    ) -> Option<Bytes> {
        <S as StoreService>::get(self, call, key)
    }
    fn open(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        path: PathBuf,
    ) -> Result<File, NotOpened> {
        <S as StoreService>::open(self, call, path)
    }
    fn flush(&self, call: &::breezeway::__private::protocol::Call<'_>) {
        <S as StoreService>::flush(self, call)
    }
    fn note(&self, call: &::breezeway::__private::protocol::Call<'_>, line: String) {
        <S as StoreService>::note(self, call, line)
    }
    fn watch(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        prefix: String,
        feed: ::breezeway::__private::protocol::Feed<Change>,
    ) {
        <S as StoreService>::watch(self, call, prefix, feed)
    }
    fn r#await(
        &self,
        call: &::breezeway::__private::protocol::Call<'_>,
        key: String,
        reply: ::breezeway::__private::protocol::Reply<Store, Bytes>,
    ) {
        <S as StoreService>::r#await(self, call, key, reply)
    }
}
