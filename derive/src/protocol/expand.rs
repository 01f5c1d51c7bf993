//! The items of a protocol: its type, the two enums, the client and the service. It cannot fail.
//!
//! They stand in the user's scope, which their signatures name types of; all else is named by full paths. Names of the macro's own have
//! its hygiene, so that an argument may be called `call` or `reply`. Layer below: [`model`](super::model).

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::Attribute;

use super::model::{Kind, Method, Protocol};
use super::parse::Argument;

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
        }
    }
}

/// A name that no name of the user's is the same as.
fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The user's documentation with ours around it, each part a paragraph.
fn documented(intro: &str, docs: &[Attribute], notes: &[&str]) -> TokenStream {
    let line = |text: &str| {
        let text = if text.is_empty() { String::new() } else { format!(" {text}") };
        quote!(#[doc = #text])
    };
    let ours = |text: &str| vec![line(text)];
    let user = docs.iter().map(ToTokens::to_token_stream).collect::<Vec<_>>();
    let parts = [if intro.is_empty() { Vec::new() } else { ours(intro) }, user].into_iter().chain(notes.iter().map(|note| ours(note)));
    let parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(&line("")).into_iter().collect()
}

/// The type that stands for the protocol, and what is made from it.
fn itself(protocol: &Protocol, names: &Names) -> TokenStream {
    let Protocol { vis, ident, docs, allowed, .. } = protocol;
    let Names { path, request, reply, client, service, .. } = names;
    let arms = protocol.methods.iter().map(|method| arm(method, names));
    let dispatch = if protocol.methods.is_empty() { quote!({}) } else { quote!({ #(#arms)* }) };
    let [service_itself, incoming] = [own("service"), own("incoming")];
    let name = ident.to_string();
    let doc = documented(&format!("The protocol `{ident}`: [`{client}`] calls what a [`{service}`] does."), docs, &[]);
    quote! {
        #doc
        #(#[allow(#allowed)])*
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #vis enum #ident {}

        impl #path::Protocol for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            type Request = #request;
            type Reply = #reply;
        }

        #(#[allow(#allowed)])*
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
    let Names { request, reply, service, call, .. } = names;
    let last = last(method);
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
    let Protocol { vis, ident, options, docs, methods, allowed, .. } = protocol;
    let Names { request, reply, service, .. } = names;
    let private = &options.private;
    let root = options.root.as_ref().map(|root| quote!(#[message(crate = #root)]));
    let derives = &options.derives;
    let attributes = quote! {
        #(#[allow(#allowed)])*
        #[derive(#derives #private::DeriveMessage)]
        #root
    };
    let requests = methods.iter().map(|method| {
        let Method { variant, name, docs, .. } = method;
        let fields = method.arguments.iter().map(|argument| {
            let Argument { docs: own, ident, ty } = argument;
            let ours = if own.is_empty() { format!("The argument `{ident}`.") } else { String::new() };
            let doc = documented(&ours, own, &[]);
            quote!(#doc #ident: #ty)
        });
        let fields = if method.arguments.is_empty() { quote!() } else { quote!({ #(#fields),* }) };
        let doc = documented(&format!("A call of [`{name}`]({service}::{name})."), docs, &[]);
        quote! {
            #doc
            #[serde(rename = #name)]
            #variant #fields
        }
    });
    let replies = methods.iter().filter(|method| !matches!(method.kind, Kind::OneWay)).map(|method| {
        let Method { variant, name, docs, .. } = method;
        let value = method.returns.as_ref().map(|ty| quote!((#ty)));
        let doc = documented(&format!("What [`{name}`]({service}::{name}) answers."), docs, &[]);
        quote! {
            #doc
            #[serde(rename = #name)]
            #variant #value
        }
    });
    let [asked, answered] =
        ["calls", "answers"].map(|what| documented(&format!("All {what} of the protocol [`{ident}`], as they travel."), docs, &[]));
    quote! {
        #asked
        #attributes
        #vis enum #request { #(#requests),* }

        #answered
        #attributes
        #vis enum #reply { #(#replies),* }
    }
}

/// The caller's side.
fn client(protocol: &Protocol, names: &Names) -> TokenStream {
    let Protocol { vis, ident, options, docs, methods, allowed, .. } = protocol;
    let Names { path, client, service, .. } = names;
    let private = &options.private;
    let root = options.root.as_ref().map(|root| quote!(#[message(crate = #root)]));
    let answering = methods.iter().filter(|method| !matches!(method.kind, Kind::OneWay)).count();
    let calls = methods.iter().map(|method| call(protocol, method, names, answering > 1));
    let doc = documented(
        &format!("Calls a [`{service}`] of the protocol [`{ident}`] in another process, or in another thread."),
        docs,
        &["Any number of threads may call at the same time, over one channel. Clones share the channel."],
    );
    quote! {
        #doc
        #(#[allow(#allowed)])*
        #[derive(::core::clone::Clone, ::core::fmt::Debug, #private::DeriveMessage)]
        #root
        #vis struct #client(#path::Caller<#ident>);

        #(#[allow(#allowed)])*
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
    let Names { path, request, reply, .. } = names;
    let answer = own("answer");
    let Method { ident, name, variant, docs, .. } = method;
    let parameters = parameters(method);
    let arguments: Vec<_> = method.arguments.iter().map(|argument| &argument.ident).collect();
    let fields = if arguments.is_empty() { quote!() } else { quote!({ #(#arguments),* }) };
    if let Kind::OneWay = method.kind {
        let notes = ["Not answered: whether the service carries it out is not known. Waits for room to send it.", "# Errors", "`NotSent`."];
        let doc = documented("", docs, &notes);
        return quote! {
            #doc
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
    let doc = documented("", docs, &["# Errors", errors]);
    let start_doc = documented(&format!("Sends the call [`{name}`](Self::{name}), to wait for its answer later."), &[], &[]);
    quote! {
        #doc
        #vis fn #ident(&self, #(#parameters),*) -> ::core::result::Result<#ok, #error> {
            self.#start(#(#arguments),*).wait()
        }

        #start_doc
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
    let Protocol { vis, ident, docs, methods, allowed, .. } = protocol;
    let Names { service, client, call, .. } = names;
    let declared = methods.iter().map(|method| {
        let signature = handler(protocol, method, names);
        let note = match method.kind {
            Kind::Plain => None,
            Kind::OneWay => Some("Not answered."),
            Kind::Later => Some("Answered by the `Reply`, now or later."),
            Kind::Stream(_) => Some("Answered by the stream that the `Feed` belongs to, which the caller has already."),
        };
        let doc = documented("", &method.docs, note.as_slice());
        quote! {
            #doc
            #signature;
        }
    });
    let generic = own("S");
    let forwarded = methods.iter().map(|method| {
        let (signature, name) = (handler(protocol, method, names), &method.ident);
        let arguments = method.arguments.iter().map(|argument| &argument.ident);
        let last = last(method);
        quote! {
            #signature {
                <#generic as #service>::#name(self, #call, #(#arguments,)* #last)
            }
        }
    });
    let forwarded: TokenStream = forwarded.collect();
    let doc = documented(&format!("A service of the protocol [`{ident}`], whose methods are called by [`{client}`]s."), docs, &[]);
    quote! {
        #doc
        #(#[allow(#allowed)])*
        #vis trait #service {
            #(#declared)*
        }

        #(#[allow(#allowed)])*
        impl<#generic: #service + ?::core::marker::Sized> #service for &#generic {
            #forwarded
        }

        #(#[allow(#allowed)])*
        impl<#generic: #service + ?::core::marker::Sized> #service for ::std::sync::Arc<#generic> {
            #forwarded
        }
    }
}

/// A method of the service, without body.
fn handler(protocol: &Protocol, method: &Method, names: &Names) -> TokenStream {
    let Names { path, call, .. } = names;
    let last = last(method);
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
        let Argument { ident, ty, .. } = argument;
        quote!(#ident: #ty)
    };
    method.arguments.iter().map(parameter).collect()
}

/// What a handler gets behind the arguments.
fn last(method: &Method) -> Option<Ident> {
    match method.kind {
        Kind::Plain | Kind::OneWay => None,
        Kind::Later => Some(own("reply")),
        Kind::Stream(_) => Some(own("feed")),
    }
}
