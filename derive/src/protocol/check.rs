//! What a protocol cannot be: each refusal says what is wrong, why, and what to write instead. A method that is refused is taken out.
//!
//! Layer below: [`model`](super::model).

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Type;
use syn::spanned::Spanned;

use super::model::{Method, Protocol};
use crate::model::parts;
use crate::parse::Errors;

/// What a client has of its own.
const RESERVED: [&str; 4] = ["new", "with_timeout", "with_deadline", "is_closed"];

/// Adds an error for everything that cannot be a protocol.
pub(crate) fn check(protocol: &mut Protocol, errors: &mut Errors) {
    if let Some(word) = &protocol.qualifier {
        errors.add(word.span(), "a protocol is a plain trait: what comes from another process is checked; remove this");
    }
    if let Some(parameter) = protocol.generics.params.first() {
        errors.add(
            parameter.span(),
            "a protocol has no generic parameters and no lifetimes: both processes must know every type, and share no memory; write the types",
        );
    }
    if let (Some(clause), true) = (&protocol.generics.where_clause, protocol.generics.params.is_empty()) {
        errors.add(clause.where_token.span, "a protocol has no generic parameters, so there is nothing to bound; remove this");
    }
    if let Some(colon) = protocol.supertraits {
        errors.add(
            colon,
            "a protocol has no supertraits: it says what travels; put its methods into one trait, or speak two protocols on two channels",
        );
    }
    for attr in &protocol.strange {
        errors.add(
            attr.path().span(),
            "a protocol has `///` and `#[allow(…)]`, and no other attributes, for several items are made of it; remove this",
        );
    }
    if protocol.methods.is_empty() && errors.count() == 0 {
        errors.add(protocol.ident.span(), "a protocol without methods has nothing to say; add one: `fn name(argument: Type) -> Type;`");
    }
    let mut sound = Vec::new();
    for index in 0..protocol.methods.len() {
        let before = errors.count();
        check_method(&protocol.methods[index], errors);
        check_name(&protocol.methods[index], &protocol.methods[..index], &protocol.methods, errors);
        sound.push(errors.count() == before);
    }
    let mut sound = sound.into_iter();
    protocol.methods.retain(|_| sound.next().unwrap_or(false));
}

fn check_method(method: &Method, errors: &mut Errors) {
    for attr in &method.strange {
        let path = attr.path();
        if path.is_ident("oneway") || path.is_ident("later") {
            errors.add(path.span(), "this takes no value: write `#[oneway]` or `#[later]`");
        } else {
            errors.add(
                path.span(),
                "a method has `///`, `#[oneway]` or `#[later]`, and no other attributes, for several items are made of it; remove this",
            );
        }
    }
    if let (Some(_), Some(later)) = (method.oneway, method.later) {
        errors.add(later, "a `#[oneway]` method is not answered, so not `#[later]` either; remove one of the two");
    }
    if let (Some(_), Some(ty)) = (method.oneway, &method.returns) {
        errors.add(ty.span(), "a `#[oneway]` method is not answered, so it returns nothing; remove one of the two");
    }
    for ty in method.arguments.iter().map(|argument| &argument.ty).chain(&method.returns) {
        if let Some((span, message)) = refusal(ty) {
            errors.add(span, message);
        }
    }
}

/// Why this type cannot travel, where it is to be seen in its spelling.
fn refusal(ty: &Type) -> Option<(Span, &'static str)> {
    match ty {
        Type::Reference(reference) => Some((
            reference.and_token.span,
            "a reference cannot travel: the other process does not share memory; own the data (`String`, `Vec<u8>`, `Bytes`)",
        )),
        Type::ImplTrait(ty) => Some((ty.impl_token.span, "both processes must know every type; write it out")),
        Type::TraitObject(ty) => Some((ty.span(), "both processes must know every type; write it out, or an enum of those that it may be")),
        _ => parts(ty).into_iter().find_map(refusal).or_else(|| {
            let span = own_type(ty.to_token_stream())?;
            Some((span, "a protocol has no `Self` that could travel; name the type"))
        }),
    }
}

/// Where `Self` stands.
fn own_type(tokens: TokenStream) -> Option<Span> {
    tokens.into_iter().find_map(|tree| match tree {
        TokenTree::Ident(ident) if ident == "Self" => Some(ident.span()),
        TokenTree::Group(group) => own_type(group.stream()),
        _ => None,
    })
}

fn check_name(method: &Method, earlier: &[Method], all: &[Method], errors: &mut Errors) {
    let Method { ident, name, variant, .. } = method;
    if RESERVED.contains(&name.as_str()) {
        errors.add(ident.span(), format!("every client has a `{name}` of its own; give the method another name"));
    }
    if name.strip_prefix("start_").is_some_and(|rest| all.iter().any(|other| other.name == rest && other.oneway.is_none())) {
        errors.add(ident.span(), format!("`{name}` is how a client starts a call that it waits for later; give the method another name"));
    }
    if let Some(other) = earlier.iter().find(|other| other.variant == *variant) {
        errors.add(ident.span(), format!("`{}` is the variant `{variant}` already; give the method another name", other.name));
    }
    let mut names: Vec<_> = method.arguments.iter().map(|argument| &argument.ident).collect();
    while let Some(last) = names.pop() {
        if names.contains(&last) {
            errors.add(last.span(), format!("there are two arguments `{last}`; rename one"));
        }
    }
}
