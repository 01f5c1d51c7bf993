//! An enum of calls as written, variant by variant, for those who would rather declare the messages: it is read as the trait that it stands for.
//!
//! Layer below: none.

use proc_macro2::Ident;
use syn::spanned::Spanned;
use syn::{Fields, Type, Variant};

use super::parse::{Argument, Signature};
use crate::parse::Errors;
use crate::rename::{pascal, snake};

/// What the name of such an enum ends in.
const SUFFIX: &str = "Request";

/// `Store`, of an enum `StoreRequest`.
pub(crate) fn protocol_of(ident: &Ident) -> syn::Result<Ident> {
    let text = ident.to_string();
    let name = text.strip_suffix(SUFFIX).filter(|name| !name.is_empty());
    let name =
        name.ok_or_else(|| syn::Error::new(ident.span(), "an enum of calls is called after its protocol: `StoreRequest` for `Store`"))?;
    Ok(Ident::new(name, ident.span()))
}

/// The method that a variant calls, unless it is a variant that no method has.
pub(crate) fn method_of(variant: Variant, errors: &mut Errors) -> Option<Signature> {
    let before = errors.count();
    let name = snake(&variant.ident.to_string(), '_');
    if variant.ident != pascal(&name) || ["self", "super", "crate"].contains(&name.as_str()) {
        errors.add(variant.ident.span(), "a call is named in Pascal case, so that its method can be named in snake case; rename it");
    }
    if let Some((equals, _)) = &variant.discriminant {
        errors.add(equals.span(), "calls are numbered by their position, whatever is written here; remove this");
    }
    if let Fields::Unnamed(fields) = &variant.fields {
        errors.add(fields.span(), "the fields of a call have names, for they are the arguments of its method; write `{ name: Type }`");
    }
    for attr in variant.fields.iter().flat_map(|field| &field.attrs).filter(|attr| !attr.path().is_ident("doc")) {
        errors.add(attr.path().span(), "an argument has no attributes; remove this");
    }
    let (replies, attrs): (Vec<_>, Vec<_>) = variant.attrs.into_iter().partition(|attr| attr.path().is_ident("reply"));
    let mut replies = replies.into_iter();
    let returns = replies.next().and_then(|attr| errors.keep(attr.parse_args::<Type>()));
    if let Some(second) = replies.next() {
        errors.add(second.path().span(), "there is one answer to a call; remove this, or make an enum of both");
    }
    let raw = || Ident::new_raw(&name, variant.ident.span());
    (errors.count() == before).then(|| Signature {
        attrs,
        ident: syn::parse_str::<Ident>(&name).map_or_else(
            |_| raw(),
            |mut ident| {
                ident.set_span(variant.ident.span());
                ident
            },
        ),
        arguments: variant
            .fields
            .into_iter()
            .filter_map(|field| Some(Argument { docs: field.attrs, ident: field.ident?, ty: field.ty }))
            .collect(),
        returns,
    })
}
