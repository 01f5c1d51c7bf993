//! The text of expansions: what a reader of `cargo expand` sees.
//!
//! `BLESS=1 cargo test -p breezeway-derive` writes them anew.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse_quote;

fn expands_to(name: &str, input: &syn::DeriveInput) {
    is_as_in(name, &crate::derive(input));
}

/// Compares an expansion with the file of that name in `src/tests/`.
fn is_as_in(name: &str, expansion: &TokenStream) {
    let text = prettyplease::unparse(&parse_quote!(#expansion));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{} is out of date; if the change is meant, set BLESS=1", path.display());
}

#[test]
fn a_struct() {
    expands_to(
        "struct.expanded.rs",
        &parse_quote! {
            #[serde(rename_all = "camelCase")]
            pub(crate) struct Tree<T: Clone = u8> {
                pub leaf: T,
                children: Vec<Self>,
                #[serde(skip)]
                cached: Option<T>,
                #[message(opaque = "v1")]
                point: Point<T>,
            }
        },
    );
}

#[test]
fn an_enum() {
    expands_to(
        "enum.expanded.rs",
        &parse_quote! {
            #[message(crate = "crate")]
            enum Job {
                #[message(from)]
                Scan(File),
                Wait { #[serde(serialize_with = "as_millis")] r#for: Duration },
                Stop,
            }
        },
    );
}

#[test]
fn a_refused_type_keeps_its_impls() {
    expands_to(
        "refused.expanded.rs",
        &parse_quote! {
            union Either<'a> {
                reference: &'a u8,
                number: u8,
            }
        },
    );
}

#[test]
fn a_protocol() {
    let declared = quote! {
        /// Where values are kept.
        pub trait Store {
            /// What is kept under a key.
            fn get(key: String) -> Option<Bytes>;
            fn open(path: PathBuf) -> Result<File, NotOpened>;
            fn flush();
            #[oneway]
            fn note(line: String);
            fn watch(prefix: String) -> Stream<Change>;
            #[later]
            fn r#await(key: String) -> Bytes;
        }
    };
    is_as_in("protocol.expanded.rs", &crate::protocol::protocol(quote!(derive(Debug)), declared));
}

#[test]
fn an_enum_of_calls_gives_the_same_as_its_trait() {
    let declared = quote! {
        /// Where values are kept.
        pub trait Store {
            /// What is kept under a key.
            fn get_all(keys: Vec<String>, limit: u32) -> Result<Vec<Bytes>, Missing>;
            fn flush();
            #[oneway]
            fn note(line: String);
            fn watch(prefix: String) -> Stream<Change>;
            #[later]
            fn r#await(key: String) -> Bytes;
        }
    };
    let annotated = quote! {
        /// Where values are kept.
        pub enum StoreRequest {
            /// What is kept under a key.
            #[reply(Result<Vec<Bytes>, Missing>)]
            GetAll { keys: Vec<String>, limit: u32 },
            Flush,
            #[oneway]
            Note { line: String },
            #[reply(Stream<Change>)]
            Watch { prefix: String },
            #[later]
            #[reply(Bytes)]
            Await { key: String },
        }
    };
    let [declared, annotated] = [declared, annotated].map(|tokens| crate::protocol::protocol(TokenStream::new(), tokens).to_string());
    assert_eq!(declared, annotated);
}

#[test]
fn an_argument_of_a_call_keeps_its_own_words() {
    let calls = quote! {
        enum StoreRequest {
            #[reply(u64)]
            Get {
                /// What it is kept under.
                key: String,
                version: u32,
            },
        }
    };
    let expansion = crate::protocol::protocol(TokenStream::new(), calls);
    let text = prettyplease::unparse(&parse_quote!(#expansion));
    assert!(
        text.contains("    Get {\n        /// What it is kept under.\n        key: String,\n        /// The argument `version`.\n"),
        "{text}"
    );
}

#[test]
fn a_refused_method_is_left_out_of_its_protocol() {
    let declared = quote! {
        trait Pair {
            fn left(self, text: &str);
            fn right() -> std::io::Result<u8>;
        }
    };
    is_as_in("refused_protocol.expanded.rs", &crate::protocol::protocol(quote!(crate = "crate"), declared));
}
