//! The `where` clause of a message: what its type parameters must be, so that its fields can travel.
//!
//! The rule of std's derives: a bound on each parameter and associated type that a field's type names, not on the field's type,
//! which would have no end in a recursive type. Layer below: [`model`](crate::model).

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Generics, Type, TypeParamBound, WherePredicate, parse_quote};

use crate::model::{Coding, Field, Message, is_phantom, parts};

/// The message's generics with every bound that its impls need.
pub(crate) fn bounded(message: &Message) -> Generics {
    let mut generics = message.generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|param| param.ident.clone()).collect();
    let mut predicates: Vec<WherePredicate> = parameters.iter().map(|name| parse_quote!(#name: 'static)).collect();
    predicates.extend(message.bound.predicates.iter().cloned());
    if let (Some(proxy), false) = (&message.proxy, message.bound.replaces) {
        for ty in [&proxy.into, &proxy.from] {
            if !Named::new(&parameters, ty).is_empty() {
                let private = &message.private;
                predicates.push(parse_quote!(#ty: #private::Field));
            }
        }
    }
    for (variant, field) in message.fields() {
        if let Some(variant) = variant {
            predicates.extend(variant.bound.predicates.iter().cloned());
        }
        predicates.extend(field.bound.predicates.iter().cloned());
        let replaced = message.bound.replaces || field.bound.replaces || variant.is_some_and(|variant| variant.bound.replaces);
        if !replaced && message.proxy.is_none() {
            predicates.extend(inferred(message, field, &parameters));
        }
    }
    let mut seen = Vec::new();
    predicates.retain(|predicate| {
        let text = predicate.to_token_stream().to_string();
        let is_new = !seen.contains(&text);
        if is_new {
            seen.push(text);
        }
        is_new
    });
    if !predicates.is_empty() {
        generics.make_where_clause().predicates.extend(predicates);
    }
    generics
}

/// What one field asks of the type parameters.
fn inferred(message: &Message, field: &Field, parameters: &[Ident]) -> Vec<WherePredicate> {
    let private = &message.private;
    let named = Named::new(parameters, &field.ty);
    let ty = &field.ty;
    match field.coding {
        // serde calls `Default` for a skipped field unless `default = "…"` names a function.
        Coding::Skipped => match field.entries.serde("default") {
            Some(entry) if entry.has_value() => Vec::new(),
            _ => named.bounded(&parse_quote!(::core::default::Default)),
        },
        Coding::Own => Vec::new(),
        Coding::Opaque { .. } if named.is_empty() => Vec::new(),
        Coding::Opaque { .. } => vec![parse_quote!(#ty: #private::serde::Serialize + #private::serde::de::DeserializeOwned)],
        Coding::Field { .. } => named.bounded(&parse_quote!(#private::Field)),
    }
}

/// The type parameters, and the associated types of them, that a type names.
struct Named<'a> {
    parameters: &'a [Ident],
    types: Vec<Type>,
}

impl<'a> Named<'a> {
    fn new(parameters: &'a [Ident], ty: &Type) -> Self {
        let mut named = Self { parameters, types: Vec::new() };
        named.visit(ty);
        named
    }

    fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The bound for each of them.
    fn bounded(&self, bound: &TypeParamBound) -> Vec<WherePredicate> {
        self.types.iter().map(|ty| parse_quote!(#ty: #bound)).collect()
    }

    fn visit(&mut self, ty: &Type) {
        if let Type::Path(path) = ty {
            let first = path.path.segments.first().filter(|_| path.path.leading_colon.is_none());
            match &path.qself {
                // `<T as Iterator>::Item`
                Some(qself) if !Named::new(self.parameters, &qself.ty).is_empty() => return self.types.push(ty.clone()),
                None if is_phantom(&path.path) => return,
                // `T` or `T::Item`
                None if first.is_some_and(|segment| self.parameters.contains(&segment.ident)) => self.types.push(ty.clone()),
                _ => {}
            }
        }
        for part in parts(ty) {
            self.visit(part);
        }
    }
}
