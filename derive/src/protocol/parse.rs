//! A trait as written, method by method, so that what is wrong with one hides nothing of another. Layer below: [`calls`](super::calls).
//!
//! syn parses traits only with its feature `full`, which takes longer to compile than all the rest; and it has words for what rustc
//! allows, not for what a protocol does.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Generics, Token, Type, Variant, Visibility, WhereClause, braced, parenthesized};

use super::calls::protocol_of;
use crate::parse::Errors;

/// The trait, or the enum of calls that stands for one.
pub(crate) struct Declaration {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// A word before `trait`.
    pub(crate) qualifier: Option<Ident>,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// The colon before supertraits.
    pub(crate) supertraits: Option<Span>,
    pub(crate) items: Vec<Item>,
}

/// What stands between the braces.
pub(crate) enum Item {
    /// Of a trait: cut at each `;` and after each `{…}`.
    Method(TokenStream),
    /// Of an enum of calls.
    Call(Box<Variant>),
}

impl Parse for Declaration {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if input.peek(Token![enum]) {
            return Self::parse_calls(input, attrs, vis);
        }
        let qualifier = input.peek2(Token![trait]).then(|| input.call(Ident::parse_any)).transpose()?;
        if !input.peek(Token![trait]) {
            return Err(input.error("a protocol is a trait, `#[protocol] trait Name { fn method(argument: Type) -> Type; }`, or an enum of calls, `enum NameRequest`"));
        }
        input.parse::<Token![trait]>()?;
        let ident = input.parse()?;
        let mut generics: Generics = input.parse()?;
        let supertraits = input.peek(Token![:]).then(|| input.parse::<Token![:]>()).transpose()?.map(|colon| colon.span());
        while supertraits.is_some() && !input.is_empty() && !input.peek(Token![where]) && !input.peek(syn::token::Brace) {
            input.parse::<TokenTree>()?;
        }
        generics.where_clause = input.parse()?;
        let content;
        braced!(content in input);
        let items = cut(content.parse()?).into_iter().map(Item::Method).collect();
        Ok(Self { attrs, vis, qualifier, ident, generics, supertraits, items })
    }
}

impl Declaration {
    fn parse_calls(input: ParseStream<'_>, attrs: Vec<Attribute>, vis: Visibility) -> syn::Result<Self> {
        input.parse::<Token![enum]>()?;
        let ident = protocol_of(&input.parse()?)?;
        let mut generics: Generics = input.parse()?;
        generics.where_clause = input.parse()?;
        let content;
        braced!(content in input);
        let calls = Punctuated::<Variant, Token![,]>::parse_terminated(&content)?;
        let items = calls.into_iter().map(|call| Item::Call(Box::new(call))).collect();
        Ok(Self { attrs, vis, qualifier: None, ident, generics, supertraits: None, items })
    }
}

fn cut(tokens: TokenStream) -> Vec<TokenStream> {
    let mut items = Vec::new();
    let mut item = Vec::new();
    for tree in tokens {
        let ends = match &tree {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            _ => false,
        };
        item.push(tree);
        if ends {
            items.push(item.drain(..).collect());
        }
    }
    if !item.is_empty() {
        items.push(item.into_iter().collect());
    }
    items
}

/// A method as written.
pub(crate) struct Signature {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Option<Type>,
}

/// One argument.
pub(crate) struct Argument {
    /// Only a field of an enum of calls can have some.
    pub(crate) docs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
}

/// A method, unless it is something that no method of a protocol is.
pub(crate) fn signature(item: TokenStream, errors: &mut Errors) -> Option<Signature> {
    let mut found = Vec::new();
    let parsed = (|input: ParseStream<'_>| parse_signature(input, &mut |span, message| found.push((span, message)))).parse2(item);
    let sound = found.is_empty();
    for (span, message) in found {
        errors.add(span, message);
    }
    errors.keep(parsed).filter(|_| sound)
}

fn parse_signature(input: ParseStream<'_>, refuse: &mut dyn FnMut(Span, &'static str)) -> syn::Result<Signature> {
    let attrs = input.call(Attribute::parse_outer)?;
    let vis: Visibility = input.parse()?;
    if !matches!(vis, Visibility::Inherited) {
        refuse(vis.span(), "a method is as visible as its trait; remove this");
    }
    while let Some((word, reason)) = qualifier(input) {
        refuse(word.span(), reason);
        input.call(Ident::parse_any)?;
        if word == "extern" {
            input.parse::<Option<syn::LitStr>>()?;
        }
    }
    if !input.peek(Token![fn]) {
        let error = input.error("a protocol has methods and nothing else: `fn name(argument: Type) -> Type;`");
        input.parse::<TokenStream>()?;
        return Err(error);
    }
    input.parse::<Token![fn]>()?;
    let ident = input.call(Ident::parse_any)?;
    let generics: Generics = input.parse()?;
    if let Some(parameter) = generics.params.first() {
        refuse(
            parameter.span(),
            "a method has no generic parameters and no lifetimes: both processes must know every type, and share no memory; write an owned type",
        );
    }
    let content;
    parenthesized!(content in input);
    let arguments = parse_arguments(&content, refuse)?;
    let returns = input.peek(Token![->]).then(|| input.parse::<Token![->]>().and_then(|_| input.parse::<Type>())).transpose()?;
    if let Some(clause) = input.parse::<Option<WhereClause>>()? {
        refuse(clause.where_token.span, "a method has no generic parameters, so there is nothing to bound; remove this");
    }
    if input.peek(syn::token::Brace) {
        let body: TokenTree = input.parse()?;
        refuse(body.span(), "a method has no default: what it does is up to each service; write `;`");
    } else {
        input.parse::<Token![;]>()?;
    }
    Ok(Signature { attrs, ident, arguments, returns })
}

/// A word before `fn`, and why it has no place there.
fn qualifier(input: ParseStream<'_>) -> Option<(Ident, &'static str)> {
    let word = input.fork().call(Ident::parse_any).ok()?;
    let before_fn = input.peek2(Token![fn]);
    let reason = match word.to_string().as_str() {
        "fn" => return None,
        "async" => "a method is no `async fn`: a client waits, or starts the call and waits later; remove this",
        "extern" => "a method is called by messages; remove this",
        _ if before_fn => "a method is carried out by another process, which checks what it is sent; remove this",
        _ => return None,
    };
    Some((word, reason))
}

fn parse_arguments(input: ParseStream<'_>, refuse: &mut dyn FnMut(Span, &'static str)) -> syn::Result<Vec<Argument>> {
    let mut arguments = Vec::new();
    while !input.is_empty() {
        for attr in input.call(Attribute::parse_outer)? {
            refuse(attr.pound_token.span, "an argument has no attributes; remove this");
        }
        if let Some(receiver) = receiver(input) {
            refuse(receiver, "a method has no `self`: its arguments are what travels, and the service's method gets `&self`; remove this");
            skip_argument(input)?;
        } else if input.peek(syn::Ident::peek_any) && input.peek2(Token![:]) && !input.peek(Token![_]) {
            let name = input.call(Ident::parse_any)?;
            input.parse::<Token![:]>()?;
            arguments.push(Argument { docs: Vec::new(), ident: name, ty: input.parse()? });
        } else {
            refuse(input.span(), "an argument is a name and a type, for it is a field of the message; take it apart in the service");
            skip_argument(input)?;
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(arguments)
}

/// Where `self` stands, in any of its forms.
fn receiver(input: ParseStream<'_>) -> Option<Span> {
    let ahead = input.fork();
    while ahead.peek(Token![&]) || ahead.peek(Token![mut]) || ahead.peek(syn::Lifetime) {
        ahead.parse::<TokenTree>().ok()?;
    }
    ahead.peek(Token![self]).then(|| ahead.span())
}

fn skip_argument(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
