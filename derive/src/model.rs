//! What the user wrote, in the macro's own nouns: a [`Message`] of fields, each with its [`Coding`].
//!
//! A model is built from any input, also from one that [`check`](crate::check) refuses afterwards.
//! Layer below: [`parse`](crate::parse).

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::Parse;
use syn::{Data, DeriveInput, GenericArgument, GenericParam, Generics, Meta, Path, PathArguments, PathSegment, Token, Type, parse_quote};

use crate::parse::{Bound, Entries, Errors};
use crate::rename;

/// The type that derives `Message`.
pub(crate) struct Message {
    pub(crate) ident: Ident,
    /// The name of the message: serde's for sending, else the type's.
    pub(crate) name: String,
    /// serde's name for receiving, which nobody sees, else the type's.
    pub(crate) received_name: String,
    /// Parameters without defaults, and the user's `where`.
    pub(crate) generics: Generics,
    /// The path of `breezeway::__private`.
    pub(crate) private: Path,
    /// `#[repr(packed)]`: fields of such a struct are copied out before they are borrowed.
    pub(crate) packed: bool,
    /// The lints that the type's own `#[allow]`s and `#[expect]`s name, which the shadow would set off again.
    pub(crate) allowed: Vec<TokenStream>,
    pub(crate) entries: Entries,
    pub(crate) bound: Bound,
    /// `#[serde(into, from)]`: another type travels in place of this one.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) shape: Shape,
}

/// Struct, enum or union.
pub(crate) enum Shape {
    Struct(Fields),
    Enum(Vec<Variant>),
    Union(Token![union]),
}

/// One variant of an enum.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    /// Its name in the schema.
    pub(crate) wire_name: String,
    pub(crate) entries: Entries,
    pub(crate) bound: Bound,
    pub(crate) fields: Fields,
}

/// The fields of a struct or of a variant.
pub(crate) struct Fields {
    pub(crate) style: Style,
    pub(crate) list: Vec<Field>,
}

/// How fields are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Named,
    Tuple,
    Unit,
}

/// One field.
pub(crate) struct Field {
    pub(crate) ident: Option<Ident>,
    /// Its name in the schema.
    pub(crate) wire_name: Option<String>,
    /// The type, with `Self` written out.
    pub(crate) ty: Type,
    pub(crate) entries: Entries,
    pub(crate) bound: Bound,
    pub(crate) coding: Coding,
}

/// Who turns a field into bytes and back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The trait `Field` of the field's type, in the directions for which no function of the user's is named.
    Field { sent: bool, received: bool },
    /// Functions of the user's, both ways: `with` on the field or on its variant.
    Own,
    /// The type's own `Serialize` and `Deserialize`, in the same directions. `#[message(opaque = "…")]`
    Opaque { sent: bool, received: bool },
    /// Nobody: the field is not sent, and has its default on the other side.
    Skipped,
}

/// The type that travels in place of the message, and how it is turned back.
pub(crate) struct Proxy {
    pub(crate) into: Type,
    pub(crate) from: Type,
    /// `try_from` rather than `from`.
    pub(crate) fallible: bool,
}

impl Message {
    /// Builds the model of one type.
    pub(crate) fn new(input: &DeriveInput, errors: &mut Errors) -> Self {
        let entries = Entries::parse(&input.attrs, errors);
        let ident = &input.ident;
        let (_, arguments, _) = input.generics.split_for_impl();
        let arguments = arguments.as_turbofish();
        let itself = quote!(#ident #arguments);
        let shape = match &input.data {
            Data::Struct(data) => {
                let rule = entries.sent("rename_all", errors);
                Shape::Struct(Fields::new(&data.fields, &itself, [false, false], rule.as_deref(), errors))
            }
            Data::Enum(data) => {
                let rules = ["rename_all", "rename_all_fields"].map(|key| entries.sent(key, errors));
                let variants = data.variants.iter().map(|variant| Variant::new(variant, &itself, &rules, errors));
                Shape::Enum(variants.collect())
            }
            Data::Union(data) => Shape::Union(data.union_token),
        };
        let [name, received_name] = entries.names(errors).map(|name| name.map_or_else(|| ident.unraw().to_string(), |name| name.value()));
        let root = entries.message("crate").and_then(|entry| entry.parse::<Path>(errors));
        let root = root.unwrap_or_else(|| parse_quote!(::breezeway));
        Self {
            ident: ident.clone(),
            name,
            received_name,
            generics: written_out(&input.generics, &itself),
            private: parse_quote!(#root::__private),
            packed: input.attrs.iter().any(|attr| attr.path().is_ident("repr") && mentions(attr, "packed")),
            allowed: allowed(input),
            bound: entries.bound(errors),
            proxy: Proxy::new(&entries, errors),
            entries,
            shape,
        }
    }

    /// Every field, with the variant it stands in.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (Option<&Variant>, &Field)> {
        let (fields, variants) = match &self.shape {
            Shape::Struct(fields) => (&fields.list[..], &[][..]),
            Shape::Enum(variants) => (&[][..], &variants[..]),
            Shape::Union(_) => (&[][..], &[][..]),
        };
        let in_variants = variants.iter().flat_map(|variant| variant.fields.list.iter().map(move |field| (Some(variant), field)));
        fields.iter().map(|field| (None, field)).chain(in_variants)
    }
}

impl Variant {
    /// `rules`: those of the enum, for its variants and for the fields of them all.
    fn new(variant: &syn::Variant, itself: &TokenStream, rules: &[Option<String>; 2], errors: &mut Errors) -> Self {
        let entries = Entries::parse(&variant.attrs, errors);
        let [rule, for_fields] = rules;
        let for_fields = entries.sent("rename_all", errors).or_else(|| for_fields.clone());
        Self {
            ident: variant.ident.clone(),
            wire_name: rename::variant(&variant.ident, entries.sent("rename", errors), rule.as_deref()),
            bound: entries.bound(errors),
            fields: Fields::new(&variant.fields, itself, entries.custom(), for_fields.as_deref(), errors),
            entries,
        }
    }
}

impl Fields {
    fn new(fields: &syn::Fields, itself: &TokenStream, custom: [bool; 2], rule: Option<&str>, errors: &mut Errors) -> Self {
        let style = match fields {
            syn::Fields::Named(_) => Style::Named,
            syn::Fields::Unnamed(_) => Style::Tuple,
            syn::Fields::Unit => Style::Unit,
        };
        Self { style, list: fields.iter().map(|field| Field::new(field, itself, custom, rule, errors)).collect() }
    }
}

impl Field {
    /// `custom`: the halves for which the variant names a function, which then asks no field. `rule`: the `rename_all` around it.
    fn new(field: &syn::Field, itself: &TokenStream, custom: [bool; 2], rule: Option<&str>, errors: &mut Errors) -> Self {
        let entries = Entries::parse(&field.attrs, errors);
        let [serialize_with, deserialize_with] = entries.custom();
        let (sent, received) = (!custom[0] && !serialize_with, !custom[1] && !deserialize_with);
        let coding = if entries.is_skipped() {
            Coding::Skipped
        } else if !sent && !received {
            Coding::Own
        } else if entries.message("opaque").is_some() {
            Coding::Opaque { sent, received }
        } else {
            Coding::Field { sent, received }
        };
        let rename = entries.sent("rename", errors);
        Self {
            ident: field.ident.clone(),
            wire_name: field.ident.as_ref().map(|ident| rename::field(ident, rename, rule)),
            ty: with_self(&field.ty, itself),
            bound: entries.bound(errors),
            entries,
            coding,
        }
    }

    /// Whether the field is a `PhantomData`, and so nothing.
    pub(crate) fn is_phantom(&self) -> bool {
        matches!(&self.ty, Type::Path(ty) if is_phantom(&ty.path))
    }
}

impl Proxy {
    fn new(entries: &Entries, errors: &mut Errors) -> Option<Self> {
        let from = entries.serde("from").or(entries.serde("try_from"))?;
        let into = entries.serde("into")?;
        Some(Self { into: into.parse(errors)?, from: from.parse(errors)?, fallible: from.key() == "try_from" })
    }
}

/// Whether this is `PhantomData<_>`, which is a field whatever it stands for. Told by its name, as in serde.
pub(crate) fn is_phantom(path: &Path) -> bool {
    path.segments.last().is_some_and(|segment| segment.ident == "PhantomData")
}

/// The types that a type is made of: elements, members, arguments. Types that no field can have are not taken apart.
pub(crate) fn parts(ty: &Type) -> Vec<&Type> {
    match ty {
        Type::Array(ty) => vec![&ty.elem],
        Type::Slice(ty) => vec![&ty.elem],
        Type::Group(ty) => vec![&ty.elem],
        Type::Paren(ty) => vec![&ty.elem],
        Type::Tuple(ty) => ty.elems.iter().collect(),
        Type::Path(ty) => ty.path.segments.iter().flat_map(arguments).collect(),
        _ => Vec::new(),
    }
}

fn arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(list) = &segment.arguments else {
        return Vec::new();
    };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        GenericArgument::AssocType(pair) => Some(&pair.ty),
        _ => None,
    });
    types.collect()
}

/// The generics without defaults, which an impl may not have, and without `Self`.
fn written_out(generics: &Generics, itself: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    for param in &mut generics.params {
        match param {
            GenericParam::Type(param) => param.default = None,
            GenericParam::Const(param) => param.default = None,
            GenericParam::Lifetime(_) => {}
        }
        *param = with_self(param, itself);
    }
    generics.where_clause = generics.where_clause.map(|clause| with_self(&clause, itself));
    generics
}

/// `Self` written out, because the shadow type has a `Self` of its own.
fn with_self<T: Parse + ToTokens + Clone>(node: &T, itself: &TokenStream) -> T {
    fn replaced(tokens: TokenStream, itself: &TokenStream) -> TokenStream {
        let replace = |tree| match tree {
            TokenTree::Ident(ident) if ident == "Self" => itself.clone(),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), replaced(group.stream(), itself));
                inner.set_span(group.span());
                TokenTree::Group(inner).into()
            }
            other => other.into(),
        };
        tokens.into_iter().flat_map(replace).collect()
    }
    syn::parse2(replaced(node.to_token_stream(), itself)).unwrap_or_else(|_| node.clone())
}

/// What the attributes of a type, its variants and fields allow. A `#[deprecated]` type allows itself.
fn allowed(input: &DeriveInput) -> Vec<TokenStream> {
    let (variants, fields): (Vec<_>, Vec<_>) = match &input.data {
        Data::Struct(data) => (Vec::new(), data.fields.iter().collect()),
        Data::Enum(data) => (data.variants.iter().collect(), data.variants.iter().flat_map(|variant| &variant.fields).collect()),
        Data::Union(_) => (Vec::new(), Vec::new()),
    };
    let in_variants = variants.iter().flat_map(|variant| &variant.attrs);
    let in_fields = fields.iter().flat_map(|field| &field.attrs);
    let lints = input.attrs.iter().chain(in_variants).chain(in_fields).filter_map(|attr| match &attr.meta {
        Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => Some(list.tokens.clone()),
        meta if meta.path().is_ident("deprecated") => Some(quote!(deprecated)),
        _ => None,
    });
    lints.collect()
}

/// Whether the word stands anywhere in these tokens.
fn mentions(tokens: impl ToTokens, word: &str) -> bool {
    tokens.into_token_stream().into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(group.stream(), word),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
