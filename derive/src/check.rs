//! What a message cannot be: each refusal says what is wrong, why, and what to write instead.
//!
//! Every error is found before any is shown. What rustc or serde says better is left to them.
//! Layer below: [`model`](crate::model).

use proc_macro2::Span;
use syn::Type;
use syn::spanned::Spanned;

use crate::model::{Coding, Fields, Message, Shape, Style, Variant, parts};
use crate::parse::{Entries, Errors};

/// Adds an error for everything that cannot be a message.
pub(crate) fn check(message: &Message, errors: &mut Errors) {
    for param in message.generics.lifetimes() {
        errors.add(
            param.lifetime.span(),
            "a message has no lifetimes: it is received as an owned value, for the other process does not share memory; \
             own the data (`String`, `Vec<u8>`, `Bytes`)",
        );
    }
    check_keys(&message.entries, Place::Container, errors);
    check_proxy(message, errors);
    match &message.shape {
        Shape::Struct(fields) => {
            check_fields(fields, errors);
            check_transparent(message, fields, errors);
            check_newtype(fields, errors);
        }
        Shape::Enum(variants) => {
            for variant in variants {
                check_variant(variant, errors);
            }
            if let Some(entry) = message.entries.serde("transparent") {
                errors.add(entry.span(), "`#[serde(transparent)]` is for a struct with one field, and this is an enum; remove it");
            }
        }
        Shape::Union(token) => {
            errors.add(token.span(), "a union cannot be a message: nothing says which of its fields is there; use an enum");
        }
    }
}

fn check_variant(variant: &Variant, errors: &mut Errors) {
    check_keys(&variant.entries, Place::Variant, errors);
    check_fields(&variant.fields, errors);
    if variant.entries.custom() != [false, false] {
        for field in variant.fields.list.iter().filter(|field| field.coding == Coding::Skipped) {
            for entry in field.entries.serde.iter().filter(|entry| entry.key().starts_with("skip")) {
                errors.add(entry.span(), "the variant's own functions write and read all of its fields; remove `skip`");
            }
        }
    }
    if let Some(entry) = variant.entries.message("from") {
        if entry.has_value() {
            errors.add(entry.span(), "`from` takes no value: write `#[message(from)]`");
        }
        let count = variant.fields.list.len();
        if count != 1 {
            errors.add(
                entry.span(),
                format!("`#[message(from)]` makes the variant from its one field, and `{}` has {count}; remove it", variant.ident),
            );
        }
    }
}

fn check_fields(fields: &Fields, errors: &mut Errors) {
    for field in &fields.list {
        let entries = &field.entries;
        check_keys(entries, Place::Field, errors);
        let skipped = field.coding == Coding::Skipped;
        if let (Some(entry), false) = (entries.serde("default"), skipped) {
            errors.add(
                entry.span(),
                "`#[serde(default)]` stands in for a missing field, and a channel's format has none; remove it, \
                 or add `skip` if the field is not sent at all",
            );
        }
        for half in ["skip_serializing", "skip_deserializing"] {
            if let (Some(entry), false) = (entries.serde(half), skipped) {
                errors.add(
                    entry.span(),
                    format!(
                        "`#[serde({half})]` leaves the field out on one side only, and the other side would misread the rest; use `skip`"
                    ),
                );
            }
        }
        if let (Some(span), false) = (reference(&field.ty), skipped) {
            errors.add(
                span,
                "a reference cannot be received: the other process does not share memory; own the data (`String`, `Vec<u8>`, `Bytes`)",
            );
        }
        let Some(entry) = entries.message("opaque") else {
            continue;
        };
        match entry.text() {
            Some(text) if !text.value().is_empty() => {}
            _ => errors.add(
                entry.span(),
                "`opaque` needs a version of the type's encoding, which both sides compare: `#[message(opaque = \"v1\")]`",
            ),
        }
        if skipped {
            errors.add(entry.span(), "`opaque` says how the field is encoded, and a skipped field is not sent; remove one of the two");
        }
    }
}

/// Where a reference stands in this type.
fn reference(ty: &Type) -> Option<Span> {
    match ty {
        Type::Reference(reference) => Some(reference.and_token.span()),
        _ => parts(ty).into_iter().find_map(reference),
    }
}

/// `transparent` gives the one field's encoding to the whole, so there must be one.
fn check_transparent(message: &Message, fields: &Fields, errors: &mut Errors) {
    let Some(entry) = message.entries.serde("transparent") else {
        return;
    };
    let sent = fields.list.iter().filter(|field| field.coding != Coding::Skipped && !field.is_phantom()).count();
    if fields.style == Style::Unit || sent != 1 {
        errors.add(
            entry.span(),
            format!("`#[serde(transparent)]` is for a struct with one field that is sent, and this one has {sent}; remove it"),
        );
    }
}

/// serde writes and reads the one field of a tuple struct whether it is skipped or not.
fn check_newtype(fields: &Fields, errors: &mut Errors) {
    if let (Style::Tuple, [field]) = (fields.style, &fields.list[..]) {
        for entry in field.entries.serde.iter().filter(|entry| entry.key().starts_with("skip")) {
            errors.add(
                entry.span(),
                "serde does not skip the one field of a tuple struct; remove `skip`, or give the field a name: `struct S { field: T }`",
            );
        }
    }
}

/// `into` and `from` make another type travel: both directions, or neither.
fn check_proxy(message: &Message, errors: &mut Errors) {
    let [into, from, try_from] = ["into", "from", "try_from"].map(|key| message.entries.serde(key));
    match (into, from.or(try_from)) {
        (Some(entry), None) => {
            errors.add(entry.span(), "`#[serde(into)]` sends another type than is received; add `from` or `try_from` with the same type")
        }
        (None, Some(entry)) => {
            errors.add(
                entry.span(),
                format!("`#[serde({})]` receives another type than is sent; add `into` with the same type", entry.key()),
            );
        }
        _ => {}
    }
    if let (Some(_), Some(entry)) = (from, try_from) {
        errors.add(entry.span(), "`from` and `try_from` both say how the message is received; remove one of the two");
    }
    if let (Some(entry), Some(_)) = (message.entries.serde("transparent"), into.or(from).or(try_from)) {
        errors.add(entry.span(), "`transparent` has no meaning where `into` and `from` make another type travel; remove it");
    }
}

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Container,
    Variant,
    Field,
}

impl Place {
    /// The word for it in an error.
    fn word(self) -> &'static str {
        match self {
            Self::Container => "struct or enum",
            Self::Variant => "variant",
            Self::Field => "field",
        }
    }

    /// The serde keys that are passed on or understood here.
    fn serde_keys(self) -> &'static [&'static str] {
        match self {
            Self::Container => &[
                "rename",
                "rename_all",
                "rename_all_fields",
                "deny_unknown_fields",
                "transparent",
                "expecting",
                "bound",
                "from",
                "try_from",
                "into",
            ],
            Self::Variant => &["rename", "alias", "rename_all", "with", "serialize_with", "deserialize_with", "bound"],
            Self::Field => &[
                "rename",
                "alias",
                "default",
                "skip",
                "skip_serializing",
                "skip_deserializing",
                "with",
                "serialize_with",
                "deserialize_with",
                "bound",
            ],
        }
    }
}

/// The serde keys that mean something without a value.
const BARE_KEYS: [&str; 6] = ["default", "deny_unknown_fields", "skip", "skip_deserializing", "skip_serializing", "transparent"];

/// The keys of `#[message(…)]`, and where each belongs.
const MESSAGE_KEYS: [(&str, Place, &str); 3] = [
    ("crate", Place::Container, "`#[message(crate = \"path\")]` on a struct or enum"),
    ("from", Place::Variant, "`#[message(from)]` on a variant"),
    ("opaque", Place::Field, "`#[message(opaque = \"v1\")]` on a field"),
];

fn check_keys(entries: &Entries, place: Place, errors: &mut Errors) {
    for entry in &entries.serde {
        let key = entry.key();
        if let Some(reason) = refusal(&key, place) {
            errors.add(entry.span(), format!("`#[serde({key})]` {reason}"));
        } else if !place.serde_keys().contains(&key.as_str()) {
            errors.add(entry.span(), format!("serde has no attribute `{key}` for a {}; remove it", place.word()));
        } else if !entry.has_value() && !BARE_KEYS.contains(&key.as_str()) {
            errors.add(entry.span(), format!("expected text: `{key} = \"…\"`"));
        }
    }
    for (index, entry) in entries.message.iter().enumerate() {
        let key = entry.key();
        match MESSAGE_KEYS.iter().find(|(known, ..)| *known == key) {
            None => {
                let [known @ .., last] = MESSAGE_KEYS.map(|(.., usage)| usage);
                errors.add(entry.span(), format!("there is no `#[message({key})]`; there are {} and {last}", known.join(", ")));
            }
            Some((_, right, usage)) if *right != place => {
                errors.add(entry.span(), format!("`{key}` has no meaning on a {}; there is {usage}", place.word()));
            }
            Some(_) if entries.message[..index].iter().any(|earlier| earlier.key() == key) => {
                errors.add(entry.span(), format!("`{key}` is given twice; remove one of the two"));
            }
            Some(_) => {}
        }
    }
}

/// Why a channel cannot carry what this serde key asks for.
fn refusal(key: &str, place: Place) -> Option<&'static str> {
    Some(match (key, place) {
        ("untagged", _) => {
            "needs a format that can be read before its type is known, and a channel's cannot; remove it: variants are told apart by their position"
        }
        ("tag" | "content", Place::Container) => {
            "needs a format that carries field names, and a channel's does not; remove it: variants are told apart by their position"
        }
        ("flatten", Place::Field) => "needs a format that carries field names, and a channel's does not; write the fields out",
        ("skip_serializing_if", Place::Field) => {
            "sometimes leaves the field out, and the other side, which cannot know, would misread the rest; remove it: a `None` is one byte"
        }
        ("skip" | "skip_serializing" | "skip_deserializing", Place::Variant) => {
            "would shift the positions by which the two sides number the variants; remove it, or remove the variant"
        }
        ("other", Place::Variant) => {
            "stands in for variants that one side does not know, and their fields could not be read past; remove it, and give both sides the same variants"
        }
        ("default", Place::Container) => "stands in for missing fields, and a channel's format has none; remove it",
        ("borrow", Place::Variant | Place::Field) => {
            "borrows from the received bytes, and a message is received as an owned value; own the data"
        }
        ("remote", Place::Container) => {
            "describes a type of another crate, and a message is a type of yours; wrap that type, and mark the field `#[message(opaque = \"v1\")]`"
        }
        ("getter", Place::Field) => "belongs to `remote`, and a message is a type of your own; remove it",
        ("crate", Place::Container) => "would name serde's path, and a message takes serde from breezeway; use `#[message(crate = \"…\")]`",
        ("variant_identifier" | "field_identifier", Place::Container) => {
            "needs a format that carries names, and a channel's does not; remove it"
        }
        _ => return None,
    })
}
