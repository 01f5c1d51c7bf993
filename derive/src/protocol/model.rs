//! A protocol in the macro's own nouns: methods with their arguments, what they return, and how they are answered.
//!
//! Layer below: [`parse`](super::parse).

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Generics, LitStr, Meta, Path, PathArguments, PathSegment, Token, Type, Visibility, parse_quote};

use super::calls::method_of;
use super::parse::{Argument, Declaration, Item, signature};
use crate::parse::Errors;
use crate::rename::pascal;

/// The trait that becomes a protocol.
pub(crate) struct Protocol {
    pub(crate) vis: Visibility,
    pub(crate) ident: Ident,
    /// The user's documentation.
    pub(crate) docs: Vec<Attribute>,
    /// The lints that its `#[allow]`s and `#[expect]`s name, for all that is made of it.
    pub(crate) allowed: Vec<TokenStream>,
    /// Attributes that are none of ours.
    pub(crate) strange: Vec<Attribute>,
    pub(crate) qualifier: Option<Ident>,
    pub(crate) generics: Generics,
    pub(crate) supertraits: Option<Span>,
    pub(crate) options: Options,
    pub(crate) methods: Vec<Method>,
}

/// What stands in `#[protocol(…)]`.
pub(crate) struct Options {
    /// Where breezeway is, if the user has said so.
    pub(crate) root: Option<LitStr>,
    /// The path of `breezeway::__private`.
    pub(crate) private: Path,
    /// What the two enums derive beside `Message`.
    pub(crate) derives: TokenStream,
}

/// One method.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    /// Its name without `r#`: that of its variants on the wire.
    pub(crate) name: String,
    /// Its name in the two enums.
    pub(crate) variant: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) strange: Vec<Attribute>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Option<Type>,
    pub(crate) kind: Kind,
    pub(crate) oneway: Option<Span>,
    pub(crate) later: Option<Span>,
}

/// How a method is answered.
pub(crate) enum Kind {
    /// By what its handler returns.
    Plain,
    /// Not at all.
    OneWay,
    /// When its handler likes.
    Later,
    /// By a stream that its handler feeds. The arguments of `Stream<…>`.
    Stream(TokenStream),
}

impl Protocol {
    pub(crate) fn new(options: TokenStream, declaration: Declaration, errors: &mut Errors) -> Self {
        let Declaration { attrs, vis, qualifier, ident, generics, supertraits, items } = declaration;
        let (docs, others): (Vec<_>, Vec<_>) = attrs.into_iter().partition(is_doc);
        let (allowed, strange): (Vec<_>, Vec<_>) = others.into_iter().partition(|attr| allowed_by(attr).is_some());
        let allowed = allowed.iter().filter_map(allowed_by).collect();
        let methods = items.into_iter().filter_map(|item| Method::new(item, errors)).collect();
        let options = Options::new(options, errors);
        Self { vis, ident, docs, allowed, strange, qualifier, generics, supertraits, options, methods }
    }

    /// The name of one of the generated items.
    pub(crate) fn named(&self, suffix: &str) -> Ident {
        format_ident!("{}{suffix}", self.ident.unraw(), span = self.ident.span())
    }
}

impl Options {
    fn new(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self { root: None, private: parse_quote!(::breezeway::__private), derives: TokenStream::new() };
        let entries = errors.keep(Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens));
        for entry in entries.into_iter().flatten() {
            match &entry {
                Meta::NameValue(pair) if pair.path.is_ident("crate") => {
                    let root = errors.keep(syn::parse2::<LitStr>(pair.value.to_token_stream()));
                    if let Some((root, path)) = root.and_then(|root| errors.keep(root.parse::<Path>()).map(|path| (root, path))) {
                        options.root = Some(root);
                        options.private = parse_quote!(#path::__private);
                    }
                }
                Meta::List(list) if list.path.is_ident("derive") => options.derives.extend([list.tokens.clone(), quote!(,)]),
                other => errors.add(
                    other.path().span(),
                    "there are `#[protocol(derive(Debug))]`, for what the message enums derive beside `Message`, and `#[protocol(crate = \"path\")]`",
                ),
            }
        }
        options
    }
}

impl Method {
    fn new(item: Item, errors: &mut Errors) -> Option<Self> {
        let signature = match item {
            Item::Method(tokens) => signature(tokens, errors)?,
            Item::Call(variant) => method_of(*variant, errors)?,
        };
        let name = signature.ident.unraw().to_string();
        let variant = format_ident!("{}", pascal(&name), span = Span::call_site().located_at(signature.ident.span()));
        let word = |word: &str| signature.attrs.iter().find(|attr| attr.path().is_ident(word)).map(|attr| attr.path().span());
        let (oneway, later) = (word("oneway"), word("later"));
        let stream = signature.returns.as_ref().and_then(|ty| arguments_of(ty, "Stream"));
        let kind = match (oneway, later, stream) {
            (Some(_), ..) => Kind::OneWay,
            (_, Some(_), _) => Kind::Later,
            (_, _, Some(arguments)) => Kind::Stream(arguments),
            _ => Kind::Plain,
        };
        let (docs, others): (Vec<_>, Vec<_>) = signature.attrs.into_iter().partition(is_doc);
        let bare = |attr: &Attribute| matches!(&attr.meta, Meta::Path(path) if path.is_ident("oneway") || path.is_ident("later"));
        Some(Self {
            ident: signature.ident,
            name,
            variant,
            docs,
            strange: others.into_iter().filter(|attr| !bare(attr)).collect(),
            arguments: signature.arguments,
            returns: signature.returns.filter(|ty| !matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())),
            kind,
            oneway,
            later,
        })
    }

    /// What a call gives, and the method's own error if it has one.
    pub(crate) fn outcome(&self, private: &Path) -> (TokenStream, Option<TokenStream>) {
        let Some(ty) = &self.returns else {
            return (quote!(()), None);
        };
        let Some(segment) = last_segment(ty).filter(|segment| segment.ident == "Result") else {
            return (quote!(#ty), None);
        };
        let arguments = match &segment.arguments {
            PathArguments::AngleBracketed(list) => list.args.iter().collect(),
            _ => Vec::new(),
        };
        match arguments[..] {
            [ok, err] => (quote!(#ok), Some(quote!(#err))),
            // An alias, which the compiler looks through.
            _ => (quote!(<#ty as #private::protocol::Answer>::Ok), Some(quote!(<#ty as #private::protocol::Answer>::Err))),
        }
    }
}

fn is_doc(attr: &Attribute) -> bool {
    attr.path().is_ident("doc")
}

/// The lints that an `#[allow]` or `#[expect]` names.
fn allowed_by(attr: &Attribute) -> Option<TokenStream> {
    match &attr.meta {
        Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => Some(list.tokens.clone()),
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

/// `<…>` of a type of this name, if it has it.
fn arguments_of(ty: &Type, name: &str) -> Option<TokenStream> {
    match last_segment(ty).filter(|segment| segment.ident == name).map(|segment| &segment.arguments) {
        Some(arguments @ PathArguments::AngleBracketed(_)) => Some(arguments.to_token_stream()),
        _ => None,
    }
}
