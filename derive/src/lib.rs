//! The macros of [breezeway]: `#[derive(Message)]` and `#[protocol]`.
//!
//! Use them as `breezeway::Message` and `breezeway::protocol`: what they expand to names `breezeway::__private`, and nothing else but the
//! standard library.
//!
//! Attributes are read with their spans (`parse`) into a model of the message (`model`), which is checked until every error is known
//! (`check`) and then expanded (`expand`, with its `where` clause from `bounds` and its `schema`). Expansion cannot fail. `protocol` does the same for traits.
//!
//! [breezeway]: https://docs.rs/breezeway

mod bounds;
mod check;
mod expand;
mod model;
mod parse;
mod protocol;
mod rename;
mod schema;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct or an enum a message: something that a channel can carry.
///
/// Implements `breezeway::Message`, and with it serde's `Serialize` and `Deserialize`, so the type needs no other derive. A second
/// `#[derive(Serialize)]` beside it is a conflict (E0119): remove it.
///
/// ```ignore
/// use breezeway::Message;
/// use std::fs::File;
///
/// #[derive(Message)]
/// enum Job {
///     Scan { name: String, file: File }, // the file itself travels
///     Stop,
/// }
/// ```
///
/// # Fields
///
/// Every field goes by what its type *is*, not by how it is spelled: aliases, generic parameters and containers of descriptors work,
/// and a type of yours that is called `File` is not taken for a descriptor. Its type must be one that breezeway knows (numbers, text,
/// paths, containers, descriptors, ends of channels, `Bytes`), or derive `Message` itself, or be marked `opaque`.
///
/// A type parameter that a field's type names must be such a type too; a parameter that only stands in a `PhantomData` need not be.
/// Every parameter is `'static`. Recursive types, const parameters, defaults, `where` clauses, raw identifiers and private fields work.
///
/// Variants are numbered by their position, starting at 0, and fields are sent in their order; discriminants and names are not sent.
///
/// # `#[message(…)]`
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `opaque = "v1"` | field | The type has serde's traits and belongs to somebody else. The text is the version of its encoding, which two programs compare; change it when the encoding changes. Beside `with` it is the version of what those functions write. |
/// | `from` | variant with one field | `impl From<Field> for Enum`. |
/// | `crate = "path"` | struct, enum | Where breezeway is, if not at `::breezeway`. |
///
/// Where `Cargo.toml` has breezeway under another name, as in `bz = { package = "breezeway", … }`, either each type says
/// `#[message(crate = "bz")]`, or the root of the crate says once for all of them `extern crate bz as breezeway;`.
///
/// # `#[serde(…)]`
///
/// These are passed on:
///
/// - `rename`, `rename_all`, `rename_all_fields`, `alias`, `deny_unknown_fields`, `expecting`. The name of the message is the serde
///   name of the type. In the bytes there are no names, so renaming changes nothing there; but the names of fields and variants, as
///   `rename` has them for sending, are part of the schema that two programs compare.
/// - `with`, `serialize_with`, `deserialize_with`, on fields and on variants. If one direction is given, the other is as without it.
/// - `skip` on a field, with or without `default`: it is not sent, and has its default on the other side.
/// - `transparent` on a struct with one field that is sent.
/// - `bound`, anywhere. It replaces the bounds that would be inferred there, and holds for sending and for receiving, since a message
///   is both; a `bound(serialize = "…")` or `bound(deserialize = "…")` alone adds to them. `bound = "T: breezeway::Field"` is what to write for
///   a parameter that is a field.
/// - `into` together with `from` or `try_from`, on the type: another type, which is a field as above, travels in its place.
///
/// These are refused at compile time:
///
/// | attribute | because |
/// |---|---|
/// | `flatten`, `tag`, `content`, `untagged`, `variant_identifier`, `field_identifier` | The format carries no names and cannot be read without its type. |
/// | `skip_serializing_if`, `skip_serializing` or `skip_deserializing` alone, `default` without `skip`, `default` on a type | The format has no missing fields: the other side would misread the rest. |
/// | `skip` on a variant, `other` | Variants are numbered by position, and one that is unknown cannot be read past. |
/// | `skip` on the one field of a tuple struct | serde would send it all the same. |
/// | `borrow` | A message is received as an owned value. |
/// | `into` without `from` or `try_from`, and the reverse | The two sides would not agree on what travels. |
/// | `remote`, `getter`, `crate` | The derive uses them itself. For `crate` there is `#[message(crate = "…")]`. |
///
/// Refused as well are lifetimes and references, because the other process does not share memory; and unions.
#[proc_macro_derive(Message, attributes(message, serde))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive(&input).into()
}

/// Makes a protocol of a trait: message enums for both directions, a client and a service.
///
/// Use it as `#[breezeway::protocol]` on a trait whose methods have neither `self` nor body. The module `breezeway::protocol` says what
/// is made of it, and how a method answers.
///
/// ```ignore
/// #[breezeway::protocol]
/// pub trait Store {
///     /// What is kept under a key.
///     fn get(key: String) -> Option<Bytes>;
///     /// Every change from now on.
///     fn watch(prefix: String) -> Stream<Change>;
///     #[oneway]
///     fn note(line: String);
/// }
/// ```
///
/// What is made is as visible as the trait. `///` of the trait and of its methods is passed on to all that is made of them, and so is that of
/// an argument where calls are declared as below.
///
/// An enum of calls gives the same, for those who would rather declare the messages; of this one, `trait Store` above:
///
/// ```ignore
/// #[breezeway::protocol]
/// pub enum StoreRequest {
///     /// What is kept under a key.
///     #[reply(Option<Bytes>)]
///     Get { key: String },
///     /// Every change from now on.
///     #[reply(Stream<Change>)]
///     Watch { prefix: String },
///     #[oneway]
///     Note { line: String },
/// }
/// ```
///
/// - `#[protocol(derive(Debug, Clone))]`: what the two message enums derive beside `Message`.
/// - `#[protocol(crate = "path")]`: where breezeway is, if not at `::breezeway`.
/// - `#[oneway]` on a method: it is not answered. `#[later]`: it answers by a `Reply`, from anywhere.
///
/// A method returns a stream, or an error of its own, where its type is written `Stream<…>` or `Result<…>`; these must be the types that are
/// meant by it, or the compiler says so.
///
/// Refused are generic parameters, lifetimes and references, since both processes must know every type and share no memory; `self`,
/// `async`, bodies and patterns, since a trait says what travels and not how it is done; and attributes other than `///` (and
/// `#[allow(…)]` on the trait), because several items are made of each method.
#[proc_macro_attribute]
pub fn protocol(options: TokenStream, item: TokenStream) -> TokenStream {
    protocol::protocol(options.into(), item.into()).into()
}

/// The impls, or every error and impls that do nothing.
fn derive(input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut errors = parse::Errors::default();
    let message = model::Message::new(input, &mut errors);
    check::check(&message, &mut errors);
    match errors.into_compile_errors() {
        None => expand::expand(&message),
        Some(mut refused) => {
            refused.extend(expand::expand_refused(&message));
            refused
        }
    }
}

#[cfg(test)]
mod tests;
