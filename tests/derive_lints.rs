//! What `#[derive(Message)]` and `#[protocol]` emit is silent under every lint that a user may deny, and asks for no `unsafe`.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    single_use_lifetimes,
    trivial_casts,
    unnameable_types,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    unused_results
)]

use std::marker::PhantomData;

use breezeway::Message;

/// Named fields, and lints of their own that the user has allowed.
#[derive(Message, Debug)]
#[allow(clippy::struct_excessive_bools, non_snake_case)]
pub struct Named {
    /// Not in snake case.
    pub Upper: bool,
    /// A public field.
    pub flags: (bool, bool),
    /// One bool.
    pub one: bool,
    /// Another.
    pub two: bool,
    /// Too many.
    pub three: bool,
    /// A type that clippy does not like.
    #[allow(clippy::vec_box)]
    boxes: Vec<Box<u8>>,
    /// Another.
    #[expect(clippy::option_option, reason = "a lint that the user expects")]
    options: Option<Option<String>>,
    /// A keyword.
    pub r#type: u8,
    /// Not sent.
    #[serde(skip)]
    pub skipped: u8,
}

/// A newtype.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
pub struct Newtype(pub String);

/// A tuple struct with parameters.
#[derive(Message, Debug)]
pub struct Tuple<T, const N: usize = 1>(pub [T; N], pub PhantomData<T>)
where
    T: Clone;

/// A unit struct.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit;

/// A transparent struct.
#[derive(Message, Debug)]
#[serde(transparent)]
pub struct Transparent<T> {
    /// What it is.
    pub value: u8,
    /// What it stands for.
    pub of: PhantomData<T>,
}

/// Every shape of variant.
#[derive(Message, Debug)]
#[allow(clippy::large_enum_variant, non_camel_case_types)]
pub enum Every<T> {
    /// A unit.
    Unit,
    /// A large newtype.
    #[message(from)]
    Large([u64; 64]),
    /// Fields.
    Named {
        /// A recursive one.
        inner: Box<Self>,
        /// A generic one.
        value: T,
    },
    /// Not in camel case.
    lower(u8, #[serde(skip)] u8),
    /// Written by functions of the user's.
    #[serde(serialize_with = "write_pair")]
    Custom(u8, u8),
    /// Deprecated.
    #[deprecated]
    Old,
}

/// No variants.
#[derive(Message, Debug)]
pub enum Empty {}

/// Another type travels.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
#[serde(into = "Newtype", from = "Newtype")]
pub struct Proxied(pub String);

impl From<Proxied> for Newtype {
    fn from(proxied: Proxied) -> Self {
        Self(proxied.0)
    }
}

impl From<Newtype> for Proxied {
    fn from(newtype: Newtype) -> Self {
        Self(newtype.0)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn write_pair<S: serde::Serializer>(first: &u8, second: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&(first, second), serializer)
}

#[test]
fn every_shape_compiles_without_a_word() {
    let names =
        [Named::NAME, Newtype::NAME, Tuple::<u8>::NAME, Unit::NAME, Transparent::<u8>::NAME, Every::<u8>::NAME, Empty::NAME, Proxied::NAME];
    assert_eq!(names, ["Named", "Newtype", "Tuple", "Unit", "Transparent", "Every", "Empty", "Proxied"]);
}

/// The `protocol` attribute under the same lints.
pub mod protocol {
    use breezeway::protocol::{Call, Feed, Reply, Stream};
    use std::fs::File;
    use std::string::String as Text;

    /// A result of its own.
    pub type Result<T> = std::result::Result<T, Text>;

    /// Every kind of method.
    #[breezeway::protocol(derive(Debug))]
    pub trait Kinds {
        /// Gives a value.
        fn plain(key: String, flags: (bool, bool)) -> Option<u64>;
        /// Gives nothing.
        fn nothing();
        /// Gives a file, or an error of its own.
        fn fallible(name: String) -> std::result::Result<File, Text>;
        /// The same by an alias.
        fn aliased() -> Result<u8>;
        /// Is not answered.
        #[oneway]
        fn oneway(line: Vec<u8>);
        /// Answers later.
        #[later]
        fn later() -> bool;
        /// Answers later with nothing.
        #[later]
        fn later_nothing(large: [u64; 64]);
        /// Gives many values.
        fn stream(from: u8) -> Stream<u8>;
        /// Gives many values, or an error.
        fn fallible_stream() -> Stream<u8, Text>;
        /// A keyword.
        fn r#type(r#match: u8) -> u8;
    }

    /// Names that all begin alike.
    #[breezeway::protocol]
    pub trait Prefixed {
        /// One.
        fn get_one() -> u8;
        /// Two.
        fn get_two() -> u8;
        /// Three.
        fn get_three() -> u8;
    }

    /// Declared by its calls.
    #[breezeway::protocol(derive(Debug))]
    pub enum AskedRequest {
        /// Gives a value, or an error of its own.
        #[reply(std::result::Result<u64, Text>)]
        Plain {
            /// What is asked for.
            key: String,
            /// What else.
            flags: (bool, bool),
        },
        /// Gives nothing.
        Nothing,
        /// Is not answered.
        #[oneway]
        Oneway {
            /// The line.
            line: Vec<u8>,
        },
        /// Answers later.
        #[later]
        #[reply(File)]
        Later,
        /// Gives many values.
        #[reply(Stream<u8, Text>)]
        Values,
    }

    /// A service of that.
    #[derive(Debug)]
    pub struct Answering;

    impl AskedService for Answering {
        fn plain(&self, _: &Call<'_>, key: String, (negative, _): (bool, bool)) -> std::result::Result<u64, Text> {
            if negative { Err(key) } else { key.parse().map_err(|_| key) }
        }

        fn nothing(&self, _: &Call<'_>) {}

        fn oneway(&self, _: &Call<'_>, _: Vec<u8>) {}

        fn later(&self, _: &Call<'_>, _: Reply<Asked, File>) {}

        fn values(&self, _: &Call<'_>, _: Feed<u8, Text>) {}
    }

    #[test]
    fn an_enum_of_calls_compiles_without_a_word() {
        let asked = Asked::in_process(Answering).unwrap();
        assert_eq!(asked.plain("7".into(), (false, true)).unwrap(), 7);
        assert_eq!(asked.plain("7".into(), (true, true)).unwrap_err().answer().unwrap(), "7");
        asked.nothing().unwrap();
        asked.oneway(Vec::new()).unwrap();
        assert!(matches!(asked.later(), Err(breezeway::protocol::CallError::Unanswered)));
        assert!(asked.values().unwrap().next().unwrap().is_err());
        let request = AskedRequest::Plain { key: "a".into(), flags: (true, false) };
        assert_eq!(format!("{request:?}"), "Plain { key: \"a\", flags: (true, false) }");
    }

    /// Nothing is answered.
    #[breezeway::protocol]
    pub trait Silent {
        /// A word.
        #[oneway]
        fn word();
    }

    /// A service.
    #[derive(Debug)]
    pub struct Service;

    impl KindsService for Service {
        fn plain(&self, _: &Call<'_>, key: String, _: (bool, bool)) -> Option<u64> {
            key.parse().ok()
        }

        fn nothing(&self, _: &Call<'_>) {}

        fn fallible(&self, _: &Call<'_>, name: String) -> std::result::Result<File, Text> {
            Err(name)
        }

        fn aliased(&self, _: &Call<'_>) -> Result<u8> {
            Ok(7)
        }

        fn oneway(&self, _: &Call<'_>, _: Vec<u8>) {}

        fn later(&self, _: &Call<'_>, reply: Reply<Kinds, bool>) {
            reply.send(true);
        }

        fn later_nothing(&self, _: &Call<'_>, _: [u64; 64], reply: Reply<Kinds, ()>) {
            reply.send(());
        }

        fn stream(&self, _: &Call<'_>, _: u8, _: Feed<u8>) {}

        fn fallible_stream(&self, _: &Call<'_>, _: Feed<u8, Text>) {}

        fn r#type(&self, _: &Call<'_>, r#match: u8) -> u8 {
            r#match
        }
    }

    #[test]
    fn every_kind_of_method_compiles_without_a_word() {
        let kinds = Kinds::in_process(Service).unwrap();
        assert_eq!(kinds.plain("7".into(), (true, false)).unwrap(), Some(7));
        assert_eq!(kinds.aliased().unwrap(), 7);
        assert_eq!(kinds.fallible("no".into()).unwrap_err().answer().unwrap(), "no");
        assert!(kinds.later().unwrap());
        kinds.later_nothing([0; 64]).unwrap();
        kinds.oneway(Vec::new()).unwrap();
        assert_eq!(kinds.r#type(3).unwrap(), 3);
    }
}
