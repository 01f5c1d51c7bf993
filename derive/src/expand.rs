//! The code for a model that passed every check. It cannot fail.
//!
//! Everything emitted names its types by full paths and stands in a `const _` of its own, so it neither meets nor leaves names in the
//! user's scope. Layers below: [`bounds`](crate::bounds), [`schema`].

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Generics, LitStr, WherePredicate, parse_quote};

use crate::bounds::bounded;
use crate::model::{Coding, Field, Fields, Message, Proxy, Shape, Style, Variant};
use crate::parse::{Entries, Entry};
use crate::schema;

/// The impls of one message.
pub(crate) fn expand(message: &Message) -> TokenStream {
    let generics = bounded(message);
    let coded = match &message.proxy {
        Some(proxy) => by_proxy(message, &generics, proxy),
        None => by_shadow(message, &generics),
    };
    let message_impls = message_impls(message, &generics, &schema::schema(message));
    let from_impls = from_impls(message);
    let allowed = &message.allowed;
    quote! {
        #(#[allow(#allowed)])*
        const _: () = {
            #coded
            #message_impls
            #from_impls
        };
    }
}

/// Impls that do nothing, for a type that was refused: the user sees why, and no error about a missing impl.
pub(crate) fn expand_refused(message: &Message) -> TokenStream {
    let ident = &message.ident;
    let mut generics = message.generics.clone();
    let (_, arguments, _) = message.generics.split_for_impl();
    let owned: WherePredicate = parse_quote!(#ident #arguments: 'static);
    generics.make_where_clause().predicates.push(owned);
    let refused = quote!(::core::unreachable!());
    let serde_impls = serde_impls(message, &generics, &refused, &refused);
    let message_impls = message_impls(message, &generics, &schema::refused(message));
    quote! {
        const _: () = {
            #serde_impls
            #message_impls
        };
    }
}

/// Serialize and Deserialize by a private type of the same shape, whose fields go by the trait `Field`.
fn by_shadow(message: &Message, generics: &Generics) -> TokenStream {
    let Message { ident, name, received_name, private, .. } = message;
    let (parameters, arguments, clause) = generics.split_for_impl();
    let mut adaptors = Adaptors { message, path: quote!(__Shadow #arguments), fields: 0, functions: Vec::new() };
    let definition = match &message.shape {
        Shape::Struct(fields) => {
            let list = adaptors.fields(fields);
            match fields.style {
                Style::Named => quote!(struct __Shadow #generics #clause #list),
                Style::Tuple | Style::Unit => quote!(struct __Shadow #generics #list #clause;),
            }
        }
        Shape::Enum(variants) => {
            let variants = variants.iter().map(|variant| adaptors.variant(variant));
            quote!(enum __Shadow #generics #clause { #(#variants,)* })
        }
        Shape::Union(_) => TokenStream::new(),
    };
    let functions = adaptors.functions;
    let adaptors = (!functions.is_empty()).then(|| {
        quote! {
            #[automatically_derived]
            impl #parameters __Shadow #arguments #clause {
                #(#functions)*
            }
        }
    });
    let remote = text(ident);
    let serde = text(quote!(#private::serde));
    let rename = quote!(rename(serialize = #name, deserialize = #received_name));
    let passed_on = passed_on(&message.entries).filter(|entry| entry.key() != "rename");
    let packed = message.packed.then(|| quote!(#[repr(C, packed)]));
    let serde_impls = serde_impls(
        message,
        generics,
        &quote!(<__Shadow #arguments>::serialize(self, serializer)),
        &quote!(<__Shadow #arguments>::deserialize(deserializer)),
    );
    quote! {
        #[derive(#private::serde::Serialize, #private::serde::Deserialize)]
        #[serde(remote = #remote, crate = #serde, #rename, bound(serialize = "", deserialize = ""), #(#passed_on,)*)]
        #packed
        #definition

        // Found in place of the shadow's own functions when serde refuses the shadow, so that only serde's error is seen.
        trait __Refused: ::core::marker::Sized {
            fn serialize<__T, __S>(_: &__T, _: __S) -> ::core::result::Result<__S::Ok, __S::Error>
            where
                __S: #private::serde::Serializer,
            {
                ::core::unreachable!()
            }

            fn deserialize<'__de, __T, __D>(_: __D) -> ::core::result::Result<__T, __D::Error>
            where
                __D: #private::serde::Deserializer<'__de>,
            {
                ::core::unreachable!()
            }
        }

        impl #parameters __Refused for __Shadow #arguments #clause {}

        #adaptors
        #serde_impls
    }
}

/// Serialize and Deserialize by another type, which the user's `Into` and `From` make.
fn by_proxy(message: &Message, generics: &Generics, proxy: &Proxy) -> TokenStream {
    let private = &message.private;
    let Proxy { into, from, fallible } = proxy;
    let received = quote!(<#from as #private::Field>::deserialize(deserializer));
    let back = if *fallible {
        quote! {
            <Self as ::core::convert::TryFrom<#from>>::try_from(#received?)
                .map_err(<__D::Error as #private::serde::de::Error>::custom)
        }
    } else {
        quote!(::core::result::Result::map(#received, <Self as ::core::convert::From<#from>>::from))
    };
    let sent = quote! {
        let proxy = <Self as ::core::convert::Into<#into>>::into(<Self as ::core::clone::Clone>::clone(self));
        <#into as #private::Field>::serialize(&proxy, serializer)
    };
    serde_impls(message, generics, &sent, &back)
}

fn serde_impls(message: &Message, generics: &Generics, serialize: &TokenStream, deserialize: &TokenStream) -> TokenStream {
    let Message { ident, private, .. } = message;
    let (parameters, arguments, clause) = generics.split_for_impl();
    let mut received = generics.clone();
    received.params.insert(0, parse_quote!('__de));
    let (received_parameters, ..) = received.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters #private::serde::Serialize for #ident #arguments #clause {
            fn serialize<__S>(&self, serializer: __S) -> ::core::result::Result<__S::Ok, __S::Error>
            where
                __S: #private::serde::Serializer,
            {
                #serialize
            }
        }

        #[automatically_derived]
        impl #received_parameters #private::serde::Deserialize<'__de> for #ident #arguments #clause {
            fn deserialize<__D>(deserializer: __D) -> ::core::result::Result<Self, __D::Error>
            where
                __D: #private::serde::Deserializer<'__de>,
            {
                #deserialize
            }
        }
    }
}

fn message_impls(message: &Message, generics: &Generics, schema: &TokenStream) -> TokenStream {
    let Message { ident, name, private, .. } = message;
    let (parameters, arguments, clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters #private::Field for #ident #arguments #clause {
            const SCHEMA: #private::Schema = #schema;

            fn serialize<__S>(&self, serializer: __S) -> ::core::result::Result<__S::Ok, __S::Error>
            where
                __S: #private::serde::Serializer,
            {
                <Self as #private::serde::Serialize>::serialize(self, serializer)
            }

            fn deserialize<'__de, __D>(deserializer: __D) -> ::core::result::Result<Self, __D::Error>
            where
                __D: #private::serde::Deserializer<'__de>,
            {
                <Self as #private::serde::Deserialize<'__de>>::deserialize(deserializer)
            }
        }

        #[automatically_derived]
        impl #parameters #private::Message for #ident #arguments #clause {
            const NAME: &'static str = #name;
        }
    }
}

/// One `From` for each variant with `#[message(from)]`.
fn from_impls(message: &Message) -> TokenStream {
    let Message { ident, generics, .. } = message;
    let Shape::Enum(variants) = &message.shape else {
        return TokenStream::new();
    };
    let (parameters, arguments, clause) = generics.split_for_impl();
    let marked = variants.iter().filter(|variant| variant.entries.message("from").is_some());
    let impls = marked.flat_map(|variant| variant.fields.list.iter().map(move |field| (variant, field)));
    let impls = impls.map(|(variant, field)| {
        let (name, ty) = (&variant.ident, &field.ty);
        let made = match &field.ident {
            Some(field) => quote!({ #field: value }),
            None => quote!((value)),
        };
        quote! {
            #[automatically_derived]
            impl #parameters ::core::convert::From<#ty> for #ident #arguments #clause {
                fn from(value: #ty) -> Self {
                    Self::#name #made
                }
            }
        }
    });
    impls.collect()
}

/// Writes the shadow's fields, and the functions that serde calls for them.
struct Adaptors<'a> {
    message: &'a Message,
    /// The shadow with its arguments, as an expression has them.
    path: TokenStream,
    /// How many fields there were, which numbers the functions.
    fields: usize,
    functions: Vec<TokenStream>,
}

impl Adaptors<'_> {
    fn variant(&mut self, variant: &Variant) -> TokenStream {
        let ident = quiet(&variant.ident);
        let attribute = serde_attribute(passed_on(&variant.entries).map(ToTokens::to_token_stream));
        let fields = self.fields(&variant.fields);
        quote!(#attribute #ident #fields)
    }

    fn fields(&mut self, fields: &Fields) -> TokenStream {
        let list: Vec<_> = fields.list.iter().map(|field| self.field(field)).collect();
        match fields.style {
            Style::Named => quote!({ #(#list,)* }),
            Style::Tuple => quote!((#(#list,)*)),
            Style::Unit => TokenStream::new(),
        }
    }

    fn field(&mut self, field: &Field) -> TokenStream {
        let (name, ty) = (field.ident.iter().map(quiet), &field.ty);
        let private = &self.message.private;
        let by_field = quote!(#private::Field);
        let (sent, received) = match field.coding {
            // serde asks nothing of what stands beside a transparent field.
            _ if field.is_phantom() && self.message.entries.serde("transparent").is_some() => (None, None),
            Coding::Field { sent, received } => (sent.then(|| by_field.clone()), received.then_some(by_field)),
            Coding::Opaque { sent, received } => {
                (sent.then(|| quote!(#private::serde::Serialize)), received.then(|| quote!(#private::serde::Deserialize<'__de>)))
            }
            Coding::Own | Coding::Skipped => (None, None),
        };
        let serialize = sent.map(|by| self.serialize(field, &by));
        let deserialize = received.map(|by| self.deserialize(field, &by));
        self.fields += 1;
        let passed_on = passed_on(&field.entries).map(ToTokens::to_token_stream);
        let attribute = serde_attribute(passed_on.chain(serialize).chain(deserialize));
        quote!(#attribute #(#name:)* #ty)
    }

    /// A function that serializes the field by this trait of its type, and the entry that names it.
    ///
    /// Each field has a function of its own because it has the user's tokens for the field's type: when the type is not a `Field`,
    /// rustc points at them, and says so once for both directions.
    fn serialize(&mut self, field: &Field, by: &TokenStream) -> TokenStream {
        let (private, ty) = (&self.message.private, &field.ty);
        let name = format_ident!("serialize_{}", self.fields);
        self.functions.push(quote! {
            fn #name<__S>(field: &#ty, serializer: __S) -> ::core::result::Result<__S::Ok, __S::Error>
            where
                __S: #private::serde::Serializer,
            {
                <#ty as #by>::serialize(field, serializer)
            }
        });
        let path = &self.path;
        let path = text(quote!(<#path>::#name));
        quote!(serialize_with = #path)
    }

    /// The same for receiving.
    fn deserialize(&mut self, field: &Field, by: &TokenStream) -> TokenStream {
        let (private, ty) = (&self.message.private, &field.ty);
        let name = format_ident!("deserialize_{}", self.fields);
        self.functions.push(quote! {
            fn #name<'__de, __D>(deserializer: __D) -> ::core::result::Result<#ty, __D::Error>
            where
                __D: #private::serde::Deserializer<'__de>,
            {
                <#ty as #by>::deserialize(deserializer)
            }
        });
        let path = &self.path;
        let path = text(quote!(<#path>::#name));
        quote!(deserialize_with = #path)
    }
}

/// The same name as part of the expansion: a lint about names has said what it has to say at the user's own type.
fn quiet(name: &Ident) -> Ident {
    let mut name = name.clone();
    name.set_span(Span::call_site().located_at(name.span()));
    name
}

/// `#[serde(…)]`, if there is anything to say.
fn serde_attribute(entries: impl Iterator<Item = TokenStream>) -> Option<TokenStream> {
    let entries: Vec<_> = entries.collect();
    (!entries.is_empty()).then(|| quote!(#[serde(#(#entries),*)]))
}

/// The user's serde entries that serde is to see. `bound` is in the `where` clause already.
fn passed_on(entries: &Entries) -> impl Iterator<Item = &Entry> {
    entries.serde.iter().filter(|entry| entry.key() != "bound")
}

/// Tokens as text, the way serde's attributes want a path.
fn text(path: impl ToTokens) -> LitStr {
    LitStr::new(&path.to_token_stream().to_string().replace(' ', ""), Span::call_site())
}
