//! The items of a protocol: its type, the two enums, the client and the service. It cannot fail.
//!
//! They stand in the user's scope, which their signatures name types of; all else is named by full paths. Names of the macro's own have
//! its hygiene, so that an argument may be called `call` or `reply`. Layer below: [`model`](super::model).

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};

use super::model::{Argument, Kind, Method, Protocol};

/// All items.
pub(crate) fn expand(protocol: &Protocol) -> TokenStream {
    let names = Names::new(protocol);
    let (itself, enums) = (itself(protocol, &names), enums(protocol, &names));
    let (client, service) = (client(protocol, &names), service(protocol, &names));
    quote! {
        #itself
        #enums
        #client
        #service
    }
}

/// The generated types, and the macro's own variables.
struct Names {
    /// `breezeway::__private::protocol`
    path: TokenStream,
    request: Ident,
    reply: Ident,
    client: Ident,
    service: Ident,
    call: Ident,
    /// What a handler gets behind the arguments: a feed, or a reply.
    last: Ident,
}

impl Names {
    fn new(protocol: &Protocol) -> Self {
        let private = &protocol.options.private;
        Self {
            path: quote!(#private::protocol),
            request: protocol.named("Request"),
            reply: protocol.named("Reply"),
            client: protocol.named("Client"),
            service: protocol.named("Service"),
            call: own("call"),
            last: own("answer"),
        }
    }
}

/// A name that no name of the user's is the same as.
fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The type that stands for the protocol, and what is made from it.
fn itself(protocol: &Protocol, names: &Names) -> TokenStream {
    let Protocol { vis, ident, docs, .. } = protocol;
    let Names { path, request, reply, client, service, .. } = names;
    let arms = protocol.methods.iter().map(|method| arm(method, names));
    let dispatch = if protocol.methods.is_empty() { quote!({}) } else { quote!({ #(#arms)* }) };
    let [service_itself, incoming] = [own("service"), own("incoming")];
    let name = ident.to_string();
    let intro = format!("The protocol `{ident}`: [`{client}`] calls what a [`{service}`] does.");
    quote! {
        #[doc = #intro]
        #[doc = ""]
        #(#docs)*
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #vis enum #ident {}

        impl #path::Protocol for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            type Request = #request;
            type Reply = #reply;
        }

        impl #ident {
            /// A client, and the end of its channel for a service.
            ///
            /// # Errors
            ///
            /// What the kernel says: no descriptor is free, or no memory.
            #vis fn pair() -> ::std::io::Result<(#client, #path::ServiceEnd<Self>)> {
                let (ours, theirs) = #path::pair::<Self>()?;
                ::core::result::Result::Ok((#client::new(ours), theirs))
            }

            /// Serves one client until it closes its end, each call in turn.
            ///
            /// # Errors
            ///
            /// A system call failed, and with it the channel.
            #vis fn serve<S: #service>(
                service: S,
                channel: #path::ServiceEnd<Self>,
            ) -> ::core::result::Result<(), #path::SystemError> {
                Self::server(service).serve(channel)
            }

            /// A server, with options: for several threads, several clients, and an end that is graceful.
            #vis fn server<S: #service>(service: S) -> #path::Server<Self, S> {
                #path::Server::new(service, |#service_itself, request, #incoming| match request #dispatch)
            }

            /// A client of a service in this process, which a thread serves: for tests of the service.
            ///
            /// # Errors
            ///
            /// What the kernel says: no descriptor, no memory or no thread is free.
            #vis fn in_process<S: #service + ::core::marker::Send + 'static>(
                service: S,
            ) -> ::std::io::Result<#path::InProcess<#client>> {
                let (client, channel) = Self::pair()?;
                #path::InProcess::new(client, channel, Self::server(service))
            }
        }
    }
}

/// From a request to the method.
fn arm(method: &Method, names: &Names) -> TokenStream {
    let Names { request, reply, service, call, last, .. } = names;
    let [itself, incoming] = [own("service"), own("incoming")];
    let Method { ident, variant, .. } = method;
    let fields = method.arguments.iter().map(|argument| &argument.ident);
    let arguments = fields.clone();
    let pattern = if method.arguments.is_empty() { quote!() } else { quote!({ #(#fields),* }) };
    let method_of = quote!(<S as #service>::#ident);
    let wrapped = match &method.returns {
        Some(_) => quote!(#reply::#variant),
        None => quote!(|()| #reply::#variant),
    };
    let handled = match method.kind {
        Kind::Plain if method.returns.is_some() => {
            quote!(#incoming.answer(|#call| #reply::#variant(#method_of(#itself, #call, #(#arguments),*))))
        }
        Kind::Plain => quote! {
            #incoming.answer(|#call| {
                #method_of(#itself, #call, #(#arguments),*);
                #reply::#variant
            })
        },
        Kind::OneWay => quote!(#incoming.note(|#call| #method_of(#itself, #call, #(#arguments),*))),
        Kind::Later => quote!(#incoming.later(#wrapped, |#call, #last| #method_of(#itself, #call, #(#arguments,)* #last))),
        Kind::Stream(_) => quote!(#incoming.stream(#wrapped, |#call, #last| #method_of(#itself, #call, #(#arguments,)* #last))),
    };
    quote!(#request::#variant #pattern => #handled,)
}

/// The messages of both directions.
fn enums(protocol: &Protocol, names: &Names) -> TokenStream {
    let Protocol { vis, ident, options, methods, .. } = protocol;
    let Names { request, reply, service, .. } = names;
    let private = &options.private;
    let root = options.root.as_ref().map(|root| quote!(#[message(crate = #root)]));
    let derives = &options.derives;
    let attributes = quote! {
        #[derive(#derives #private::DeriveMessage)]
        #root
    };
    let requests = methods.iter().map(|method| {
        let Method { variant, name, docs, .. } = method;
        let fields = method.arguments.iter().map(|argument| {
            let (ident, ty) = (&argument.ident, &argument.ty);
            let text = format!("The argument `{ident}`.");
            quote! {
                #[doc = #text]
                #ident: #ty
            }
        });
        let fields = if method.arguments.is_empty() { quote!() } else { quote!({ #(#fields),* }) };
        let intro = format!("A call of [`{}`]({service}::{}).", method.name, method.name);
        quote! {
            #[doc = #intro]
            #[doc = ""]
            #(#docs)*
            #[serde(rename = #name)]
            #variant #fields
        }
    });
    let replies = methods.iter().filter(|method| !matches!(method.kind, Kind::OneWay)).map(|method| {
        let Method { variant, name, .. } = method;
        let value = method.returns.as_ref().map(|ty| quote!((#ty)));
        let intro = format!("What [`{name}`]({service}::{name}) answers.");
        quote! {
            #[doc = #intro]
            #[serde(rename = #name)]
            #variant #value
        }
    });
    let [asked, answered] = ["calls", "answers"].map(|what| format!("All {what} of the protocol [`{ident}`], as they travel."));
    quote! {
        #[doc = #asked]
        #attributes
        #vis enum #request { #(#requests),* }

        #[doc = #answered]
        #attributes
        #vis enum #reply { #(#replies),* }
    }
}

/// The caller's side.
fn client(protocol: &Protocol, names: &Names) -> TokenStream {
    let Protocol { vis, ident, options, docs, methods, .. } = protocol;
    let Names { path, client, service, .. } = names;
    let private = &options.private;
    let root = options.root.as_ref().map(|root| quote!(#[message(crate = #root)]));
    let answering = methods.iter().filter(|method| !matches!(method.kind, Kind::OneWay)).count();
    let calls = methods.iter().map(|method| call(protocol, method, names, answering > 1));
    let intro = format!("Calls a [`{service}`] of the protocol [`{ident}`] in another process, or in another thread.");
    quote! {
        #[doc = #intro]
        #[doc = ""]
        #(#docs)*
        #[doc = ""]
        #[doc = "Any number of threads may call at the same time, over one channel. Clones share the channel."]
        #[derive(::core::clone::Clone, ::core::fmt::Debug, #private::DeriveMessage)]
        #root
        #vis struct #client(#path::Caller<#ident>);

        impl #client {
            /// A client on this channel, whose calls wait as long as it takes.
            #[must_use]
            #vis fn new(channel: #path::ClientEnd<#ident>) -> Self {
                Self(#path::Caller::new(channel))
            }

            /// The same client, each of whose calls waits this long at most: for room to send it, and for its answer.
            #[must_use]
            #vis fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
                Self(self.0.with_timeout(timeout))
            }

            /// The same client, whose calls wait until then at most.
            #[must_use]
            #vis fn with_deadline(&self, deadline: ::std::time::Instant) -> Self {
                Self(self.0.with_deadline(deadline))
            }

            /// Whether the service is gone, or takes no more calls. Never waits.
            #[must_use]
            #vis fn is_closed(&self) -> bool {
                self.0.is_closed()
            }

            #(#calls)*
        }
    }
}

/// A method of the client, in its two forms.
fn call(protocol: &Protocol, method: &Method, names: &Names, one_of_many: bool) -> TokenStream {
    let Protocol { vis, ident: itself, options, .. } = protocol;
    let Names { path, request, reply, last: answer, .. } = names;
    let Method { ident, name, variant, docs, .. } = method;
    let parameters = parameters(method);
    let arguments: Vec<_> = method.arguments.iter().map(|argument| &argument.ident).collect();
    let fields = if arguments.is_empty() { quote!() } else { quote!({ #(#arguments),* }) };
    if let Kind::OneWay = method.kind {
        return quote! {
            #(#docs)*
            #[doc = ""]
            #[doc = "Not answered: whether the service carries it out is not known. Waits for room to send it."]
            #[doc = ""]
            #[doc = "# Errors"]
            #[doc = ""]
            #[doc = "`NotSent`."]
            #vis fn #ident(&self, #(#parameters),*) -> ::core::result::Result<(), #path::CallError> {
                self.0.notify(#request::#variant #fields)
            }
        };
    }
    let (ok, err) = method.outcome(&options.private);
    let (answered, found) = match (&method.returns, &err) {
        (None, _) => (quote!(#reply::#variant), quote!(::core::result::Result::Ok(()))),
        (Some(_), None) => (quote!(#reply::#variant(#answer)), quote!(::core::result::Result::Ok(#answer))),
        (Some(_), Some(_)) => (quote!(#reply::#variant(#answer)), quote!(#path::Answer::into_result(#answer))),
    };
    let otherwise = one_of_many.then(|| quote!(else { return ::core::option::Option::None }));
    let start = format_ident!("start_{name}", span = ident.span());
    let (error, pending, errors) = match err {
        Some(err) => (
            quote!(#path::CallError<#err>),
            quote!(#path::Pending<#itself, #ok, #err>),
            "Every `CallError`: `Answer` is the service's own answer.",
        ),
        None => (quote!(#path::CallError), quote!(#path::Pending<#itself, #ok>), "Every `CallError` but `Answer`."),
    };
    let intro = format!("Sends the call [`{name}`](Self::{name}), to wait for its answer later.");
    quote! {
        #(#docs)*
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = ""]
        #[doc = #errors]
        #vis fn #ident(&self, #(#parameters),*) -> ::core::result::Result<#ok, #error> {
            self.#start(#(#arguments),*).wait()
        }

        #[doc = #intro]
        #vis fn #start(&self, #(#parameters),*) -> #pending {
            self.0.start(#request::#variant #fields, |reply| {
                let #answered = reply #otherwise;
                ::core::option::Option::Some(#found)
            })
        }
    }
}

/// The service's side.
fn service(protocol: &Protocol, names: &Names) -> TokenStream {
    let Protocol { vis, ident, docs, methods, .. } = protocol;
    let Names { service, client, call, last, .. } = names;
    let declared = methods.iter().map(|method| {
        let (docs, signature) = (&method.docs, handler(protocol, method, names));
        let note = match method.kind {
            Kind::Plain => None,
            Kind::OneWay => Some("Not answered."),
            Kind::Later => Some("Answered by the `Reply`, now or later."),
            Kind::Stream(_) => Some("Answered by the stream that the `Feed` belongs to, which the caller has already."),
        };
        let note = note.map(|note| quote!(#[doc = ""] #[doc = #note]));
        quote! {
            #(#docs)*
            #note
            #signature;
        }
    });
    let generic = own("S");
    let forwarded = methods.iter().map(|method| {
        let (signature, name) = (handler(protocol, method, names), &method.ident);
        let arguments = method.arguments.iter().map(|argument| &argument.ident);
        let last = matches!(method.kind, Kind::Later | Kind::Stream(_)).then_some(last);
        quote! {
            #signature {
                <#generic as #service>::#name(self, #call, #(#arguments,)* #last)
            }
        }
    });
    let forwarded: TokenStream = forwarded.collect();
    let intro = format!("A service of the protocol [`{ident}`], whose methods are called by [`{client}`]s.");
    quote! {
        #[doc = #intro]
        #[doc = ""]
        #(#docs)*
        #vis trait #service {
            #(#declared)*
        }

        impl<#generic: #service + ?::core::marker::Sized> #service for &#generic {
            #forwarded
        }

        impl<#generic: #service + ?::core::marker::Sized> #service for ::std::sync::Arc<#generic> {
            #forwarded
        }
    }
}

/// A method of the service, without body.
fn handler(protocol: &Protocol, method: &Method, names: &Names) -> TokenStream {
    let Names { path, call, last, .. } = names;
    let (itself, ident) = (&protocol.ident, &method.ident);
    let parameters = parameters(method);
    let parameters = quote!(&self, #call: &#path::Call<'_>, #(#parameters,)*);
    let returns = &method.returns;
    let value = returns.as_ref().map_or_else(|| quote!(()), ToTokens::to_token_stream);
    match &method.kind {
        Kind::Plain => {
            let returns = returns.iter();
            quote!(fn #ident(#parameters) #(-> #returns)*)
        }
        Kind::OneWay => quote!(fn #ident(#parameters)),
        Kind::Later => quote!(fn #ident(#parameters #last: #path::Reply<#itself, #value>)),
        Kind::Stream(arguments) => quote!(fn #ident(#parameters #last: #path::Feed #arguments)),
    }
}

/// The arguments with their types.
fn parameters(method: &Method) -> Vec<TokenStream> {
    let parameter = |argument: &Argument| {
        let Argument { ident, ty } = argument;
        quote!(#ident: #ty)
    };
    method.arguments.iter().map(parameter).collect()
}
