//! Attributes as written: which keys stand where, each with the span that an error would point at.
//!
//! Nothing is judged here, except that text which does not parse is reported and left out. Layer below: none.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::Parse;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Lit, LitStr, Meta, Token, WherePredicate};

/// Every error found so far. Checks add to it and carry on, so that the user sees all of them at once.
#[derive(Default)]
pub(crate) struct Errors {
    first: Option<syn::Error>,
    count: usize,
}

impl Errors {
    /// Records one error that points at `span`.
    pub(crate) fn add(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(syn::Error::new(span, message));
    }

    fn push(&mut self, error: syn::Error) {
        self.count += 1;
        match &mut self.first {
            Some(first) => first.combine(error),
            None => self.first = Some(error),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The value, or `None` and one more error.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// One `compile_error!` per error, or `None` if there was no error.
    pub(crate) fn into_compile_errors(self) -> Option<TokenStream> {
        self.first.map(syn::Error::into_compile_error)
    }
}

/// One `key`, `key = "text"` or `key(…)` inside `#[serde(…)]` or `#[message(…)]`.
pub(crate) struct Entry(Meta);

impl Entry {
    /// The key, `skip` in `#[serde(skip)]`.
    pub(crate) fn key(&self) -> String {
        self.0.path().to_token_stream().to_string().replace(' ', "")
    }

    /// Where the key stands.
    pub(crate) fn span(&self) -> Span {
        self.0.path().span()
    }

    /// Whether anything follows the key.
    pub(crate) fn has_value(&self) -> bool {
        !matches!(self.0, Meta::Path(_))
    }

    /// The text of `key = "text"`.
    pub(crate) fn text(&self) -> Option<&LitStr> {
        match &self.0 {
            Meta::NameValue(pair) => literal(&pair.value),
            Meta::Path(_) | Meta::List(_) => None,
        }
    }

    /// The text of `key = "text"`, parsed.
    pub(crate) fn parse<T: Parse>(&self, errors: &mut Errors) -> Option<T> {
        let Some(text) = self.text() else {
            errors.add(self.span(), format!("expected text: `{} = \"…\"`", self.key()));
            return None;
        };
        errors.keep(text.parse())
    }

    /// What stands for sending and what for receiving: twice the text of `key = "text"`, or each its own of
    /// `key(serialize = "text", deserialize = "text")`.
    fn halves(&self, errors: &mut Errors) -> [Option<LitStr>; 2] {
        match &self.0 {
            Meta::NameValue(pair) if literal(&pair.value).is_some() => [(); 2].map(|()| self.text().cloned()),
            Meta::List(list) => {
                let inner = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                let inner: Vec<_> = errors.keep(inner).into_iter().flatten().map(Entry).collect();
                ["serialize", "deserialize"].map(|half| find(&inner, half).and_then(Entry::text).cloned())
            }
            // Checked for every key.
            Meta::Path(_) => [None, None],
            Meta::NameValue(_) => {
                let key = self.key();
                let expected = format!("expected `{key} = \"…\"` or `{key}(serialize = \"…\", deserialize = \"…\")`");
                errors.add(self.span(), expected);
                [None, None]
            }
        }
    }
}

impl ToTokens for Entry {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

/// The attributes of one container, variant or field.
#[derive(Default)]
pub(crate) struct Entries {
    /// What stands in `#[serde(…)]`.
    pub(crate) serde: Vec<Entry>,
    /// What stands in `#[message(…)]`.
    pub(crate) message: Vec<Entry>,
}

impl Entries {
    /// Takes `#[serde(…)]` and `#[message(…)]` apart.
    pub(crate) fn parse(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut entries = Self::default();
        for attr in attrs {
            let list = match attr.path() {
                path if path.is_ident("serde") => &mut entries.serde,
                path if path.is_ident("message") => &mut entries.message,
                _ => continue,
            };
            let parsed = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            list.extend(errors.keep(parsed).into_iter().flatten().map(Entry));
        }
        entries
    }

    /// The serde entry with this key.
    pub(crate) fn serde(&self, key: &str) -> Option<&Entry> {
        find(&self.serde, key)
    }

    /// The message entry with this key.
    pub(crate) fn message(&self, key: &str) -> Option<&Entry> {
        find(&self.message, key)
    }

    /// Whether serde writes and reads this by functions that the user named: `[serialize, deserialize]`.
    pub(crate) fn custom(&self) -> [bool; 2] {
        ["serialize_with", "deserialize_with"].map(|half| self.serde("with").or(self.serde(half)).is_some())
    }

    /// Whether serde leaves this out both ways.
    pub(crate) fn is_skipped(&self) -> bool {
        let halves = ["skip_serializing", "skip_deserializing"];
        self.serde("skip").is_some() || halves.iter().all(|half| self.serde(half).is_some())
    }

    /// The text of `rename`, for sending and for receiving.
    pub(crate) fn names(&self, errors: &mut Errors) -> [Option<LitStr>; 2] {
        self.serde("rename").map_or([None, None], |entry| entry.halves(errors))
    }

    /// The text of a renaming key, for sending, which is what the schema tells.
    pub(crate) fn sent(&self, key: &str, errors: &mut Errors) -> Option<String> {
        let [sent, _] = self.serde(key)?.halves(errors);
        sent.map(|text| text.value())
    }

    /// The user's own `bound`.
    pub(crate) fn bound(&self, errors: &mut Errors) -> Bound {
        let Some(entry) = self.serde("bound") else {
            return Bound::default();
        };
        let [sent, received] = entry.halves(errors);
        let replaces = sent.is_some() && received.is_some();
        let mut predicates = Vec::new();
        for text in [sent, received].into_iter().flatten() {
            let parsed = text.parse_with(Punctuated::<WherePredicate, Token![,]>::parse_terminated);
            predicates.extend(errors.keep(parsed).into_iter().flatten());
        }
        Bound { predicates, replaces }
    }
}

/// A `#[serde(bound)]` of the user's.
#[derive(Default)]
pub(crate) struct Bound {
    /// The bounds for sending and for receiving together: a message does both.
    pub(crate) predicates: Vec<WherePredicate>,
    /// Whether both halves were given, so that nothing is inferred.
    pub(crate) replaces: bool,
}

fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.0.path().is_ident(key))
}

fn literal(mut value: &Expr) -> Option<&LitStr> {
    // `macro_rules!` hands a literal over inside an invisible group.
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
