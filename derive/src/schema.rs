//! The constant that says what a message looks like on the wire. It cannot fail.
//!
//! What serde does not send is not in it: skipped fields. Layer below: [`model`](crate::model).

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Coding, Field, Fields, Message, Shape, Style, Variant};

/// What stands for bytes whose version the user gave no name.
const UNNAMED: &str = "with";

/// An expression of the type `Schema`.
pub(crate) fn schema(message: &Message) -> TokenStream {
    let (name, private) = (&message.name, &message.private);
    let kind = match (&message.proxy, &message.shape) {
        (Some(proxy), _) => {
            let child = of(message, &proxy.into);
            quote!(Same(#child))
        }
        (None, Shape::Struct(fields)) => of_struct(message, fields),
        (None, Shape::Enum(variants)) => {
            let variants = variants.iter().map(|variant| of_variant(message, variant));
            quote!(Enum(&[#(#variants),*]))
        }
        (None, Shape::Union(_)) => quote!(Tuple(&[])),
    };
    quote!(#private::Schema::new::<Self>(#name, #private::Kind::#kind))
}

/// The schema of a type that was refused: nothing is asked of its fields.
pub(crate) fn refused(message: &Message) -> TokenStream {
    let (name, private) = (&message.name, &message.private);
    quote!(#private::Schema::new::<Self>(#name, #private::Kind::Tuple(&[])))
}

fn of_struct(message: &Message, fields: &Fields) -> TokenStream {
    let sent = sent(fields);
    let inner = if message.entries.serde("transparent").is_some() {
        // serde's rule: the one field that is neither skipped nor a `PhantomData`, or else a `PhantomData`.
        sent.iter().find(|field| !field.is_phantom()).or(sent.first())
    } else {
        // A newtype is what it holds.
        sent.first().filter(|_| fields.style == Style::Tuple && fields.list.len() == 1)
    };
    if let Some(inner) = inner {
        let child = of_field(message, inner);
        return quote!(Same(#child));
    }
    let parts = parts(message, fields);
    match fields.style {
        Style::Named => quote!(Struct(&[#(#parts),*])),
        Style::Tuple | Style::Unit => quote!(Tuple(&[#(#parts),*])),
    }
}

fn of_variant(message: &Message, variant: &Variant) -> TokenStream {
    let (name, private) = (&variant.wire_name, &message.private);
    let payload = if variant.entries.custom() == [true, true] {
        quote!(Tuple(&[#private::Child::Opaque(#UNNAMED)]))
    } else {
        let parts = parts(message, &variant.fields);
        match variant.fields.style {
            Style::Named => quote!(Struct(&[#(#parts),*])),
            Style::Tuple | Style::Unit => quote!(Tuple(&[#(#parts),*])),
        }
    };
    quote!((#name, #private::Payload::#payload))
}

fn sent(fields: &Fields) -> Vec<&Field> {
    fields.list.iter().filter(|field| field.coding != Coding::Skipped).collect()
}

/// The fields that are sent, as parts of a struct or of a tuple.
fn parts(message: &Message, fields: &Fields) -> Vec<TokenStream> {
    let part = |field: &Field| {
        let child = of_field(message, field);
        match &field.wire_name {
            Some(name) => quote!((#name, #child)),
            None => child,
        }
    };
    sent(fields).into_iter().map(part).collect()
}

fn of_field(message: &Message, field: &Field) -> TokenStream {
    let private = &message.private;
    let version = field.entries.message("opaque").and_then(|entry| entry.text()).map(syn::LitStr::value);
    match (field.coding, version) {
        (_, Some(version)) => quote!(#private::Child::Opaque(#version)),
        (Coding::Own, None) => quote!(#private::Child::Opaque(#UNNAMED)),
        _ => of(message, &field.ty),
    }
}

fn of(message: &Message, ty: &syn::Type) -> TokenStream {
    let private = &message.private;
    quote!(#private::Child::Of(<#ty as #private::Field>::node))
}
