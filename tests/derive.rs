//! `#[derive(Message)]`: every shape of struct and enum makes the round trip through a channel, and so does every attribute that is
//! passed on to serde.
#![allow(missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::io::{Read as _, Seek as _, Write as _};
use std::marker::PhantomData;

use breezeway::{Channel, Message};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What arrives at the other end of a channel.
fn there<T: Serialize + DeserializeOwned>(message: T) -> T {
    let (near, far) = Channel::<T, T>::pair().unwrap();
    assert!(near.send(message).is_ok(), "the message was not sent");
    far.recv().unwrap()
}

/// Asserts that a message arrives as it was sent.
#[track_caller]
fn arrives<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: impl Fn() -> T) {
    assert_eq!(there(message()), message());
}

/// An open file that holds this text, to be read from its start.
fn file(text: &str) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

fn contents(mut file: std::fs::File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

mod shapes {
    use super::*;

    #[derive(Message, Debug, PartialEq)]
    struct Named {
        number: u64,
        text: String,
        nested: Option<Vec<(u8, char)>>,
    }

    #[derive(Message, Debug, PartialEq)]
    struct Newtype(String);

    #[derive(Message, Debug, PartialEq)]
    struct Tuple(u8, i64, [u16; 3]);

    #[derive(Message, Debug, PartialEq)]
    struct Unit;

    #[derive(Message, Debug, PartialEq)]
    struct EmptyNamed {}

    #[derive(Message, Debug, PartialEq)]
    struct EmptyTuple();

    #[derive(Message, Debug, PartialEq)]
    enum Every {
        Unit,
        EmptyTuple(),
        EmptyNamed {},
        Newtype(Named),
        Tuple(u8, Box<Every>),
        Named { a: Result<u8, String>, b: Newtype },
    }

    #[derive(Message, Debug, PartialEq)]
    enum Empty {}

    #[derive(Message, Debug, PartialEq)]
    #[repr(u8)]
    enum Numbered {
        A = 7,
        B = 3,
    }

    #[derive(Message, Debug, PartialEq, Clone, Copy)]
    #[repr(C, packed(2))]
    struct Packed {
        byte: u8,
        word: u32,
    }

    fn named() -> Named {
        Named { number: u64::MAX, text: "text".to_owned(), nested: Some(vec![(1, 'x'), (2, 'ß')]) }
    }

    #[test]
    fn every_struct_arrives() {
        arrives(named);
        arrives(|| Newtype("new".to_owned()));
        arrives(|| Tuple(1, -2, [3, 4, 5]));
        arrives(|| Unit);
        arrives(|| EmptyNamed {});
        arrives(EmptyTuple);
        arrives(|| Packed { byte: 1, word: 2 });
    }

    #[test]
    fn every_variant_arrives() {
        arrives(|| Every::Unit);
        arrives(Every::EmptyTuple);
        arrives(|| Every::EmptyNamed {});
        arrives(|| Every::Newtype(named()));
        arrives(|| Every::Tuple(9, Box::new(Every::Tuple(8, Box::new(Every::Unit)))));
        arrives(|| Every::Named { a: Ok(1), b: Newtype("b".to_owned()) });
        arrives(|| Every::Named { a: Err("no".to_owned()), b: Newtype(String::new()) });
        arrives(|| Numbered::A);
        arrives(|| Numbered::B);
    }

    #[test]
    fn an_enum_without_variants_is_a_message_that_is_never_sent() {
        assert_eq!(<Empty as Message>::NAME, "Empty");
        arrives(|| None::<Unit>.map(|_| ()));
        arrives(|| Holder { empty: None });
    }

    #[derive(Message, Debug, PartialEq)]
    struct Holder {
        empty: Option<Empty>,
    }
}

mod descriptors {
    use super::*;

    type Alias = std::fs::File;

    #[derive(Message)]
    struct Aliased {
        file: Alias,
        in_box: Box<Alias>,
        list: Vec<Option<Alias>>,
        pair: (u8, Alias),
        array: [Alias; 2],
        result: Result<Alias, String>,
        map: HashMap<u8, Alias>,
    }

    #[test]
    fn a_file_behind_an_alias_arrives_in_every_container() {
        let sent = Aliased {
            file: file("a"),
            in_box: Box::new(file("b")),
            list: vec![None, Some(file("c"))],
            pair: (7, file("d")),
            array: [file("e"), file("f")],
            result: Ok(file("g")),
            map: HashMap::from([(1, file("h"))]),
        };
        let mut got = there(sent);
        assert_eq!(contents(got.file), "a");
        assert_eq!(contents(*got.in_box), "b");
        assert_eq!(contents(got.list.pop().unwrap().unwrap()), "c");
        assert!(matches!(got.list[..], [None]));
        assert_eq!(contents(got.pair.1), "d");
        assert_eq!(got.array.map(contents), ["e", "f"]);
        assert_eq!(contents(got.result.unwrap()), "g");
        assert_eq!(contents(got.map.remove(&1).unwrap()), "h");
    }

    #[derive(Message)]
    enum Job {
        Scan { name: String, file: std::fs::File },
        Stop,
    }

    #[test]
    fn a_file_in_a_variant_arrives() {
        let Job::Scan { name, file } = there(Job::Scan { name: "n".to_owned(), file: file("scan me") }) else {
            panic!("another variant");
        };
        assert_eq!(name, "n");
        assert_eq!(contents(file), "scan me");
        assert!(matches!(there(Job::Stop), Job::Stop));
    }

    #[derive(Message)]
    struct Tree<T> {
        leaf: T,
        children: Vec<Tree<T>>,
    }

    #[test]
    fn a_recursive_generic_carries_files_as_well_as_numbers() {
        let got = there(Tree {
            leaf: file("root"),
            children: vec![
                Tree { leaf: file("left"), children: Vec::new() },
                Tree { leaf: file("right"), children: vec![Tree { leaf: file("leaf"), children: Vec::new() }] },
            ],
        });
        let mut found = Vec::new();
        walk(got, &mut found);
        assert_eq!(found, ["root", "left", "right", "leaf"]);
        let got = there(Tree { leaf: 1_u32, children: vec![Tree { leaf: 2, children: Vec::new() }] });
        assert_eq!((got.leaf, got.children[0].leaf), (1, 2));
    }

    fn walk(tree: Tree<std::fs::File>, found: &mut Vec<String>) {
        found.push(contents(tree.leaf));
        for child in tree.children {
            walk(child, found);
        }
    }

    mod own {
        use breezeway::Message;

        /// Not the file of std: fields go by what the type is, never by what it is called.
        #[derive(Message, Debug, PartialEq)]
        pub(super) struct File {
            pub(super) name: String,
        }

        #[derive(Message, Debug, PartialEq)]
        pub(super) struct Files(pub(super) File, pub(super) Vec<File>);
    }

    #[test]
    fn a_struct_that_is_called_file_is_no_descriptor() {
        let name = |name: &str| own::File { name: name.to_owned() };
        arrives(|| own::Files(name("a"), vec![name("b")]));
    }
}

mod generics {
    use super::*;

    #[derive(Message, Debug, PartialEq)]
    struct Defaults<T = u8, const N: usize = 2>([T; N]);

    #[derive(Message, Debug, PartialEq)]
    struct Bounded<K: Eq + Hash, V>
    where
        V: Clone,
    {
        map: HashMap<K, V>,
    }

    #[derive(Message, Debug, PartialEq)]
    enum Choice<L, R> {
        Left(L),
        Right { value: R },
        Both(L, R),
        Neither,
    }

    /// Nothing is asked of a parameter that only stands in a `PhantomData`.
    struct NotAMessage;

    #[derive(Message)]
    struct Typed<T> {
        id: u64,
        of: PhantomData<T>,
    }

    trait Protocol: 'static {
        type Request;
        type Reply;
    }

    #[derive(Message)]
    struct Exchange<P: Protocol> {
        request: P::Request,
        replies: Vec<<P as Protocol>::Reply>,
    }

    #[derive(Debug)]
    struct Ping;

    impl Protocol for Ping {
        type Request = u8;
        type Reply = String;
    }

    #[derive(Message, Debug, PartialEq)]
    struct List {
        value: u32,
        next: Option<Box<Self>>,
    }

    #[derive(Message, Debug, PartialEq)]
    enum Expression<T> {
        Value(T),
        Sum(Vec<Self>),
        Call(Box<Call<T>>),
    }

    #[derive(Message, Debug, PartialEq)]
    struct Call<T> {
        name: String,
        arguments: BTreeMap<String, Expression<T>>,
    }

    #[derive(Message, Debug, PartialEq)]
    struct Sized2
    where
        Self: Sized,
    {
        array: [u8; Self::SIZE],
    }

    impl Sized2 {
        const SIZE: usize = 2;
    }

    #[derive(Message, Debug, PartialEq)]
    #[serde(bound = "T: Message")]
    struct OwnBound<T> {
        value: Option<T>,
    }

    #[derive(Message, Debug, PartialEq)]
    struct HalfBound<T> {
        #[serde(bound(deserialize = "T: Clone"))]
        value: Vec<T>,
    }

    #[derive(Message, Debug, PartialEq)]
    enum VariantBound<T> {
        #[serde(bound = "T: Message")]
        A(T),
        B(u8),
    }

    #[test]
    fn parameters_defaults_and_where_clauses_are_kept() {
        arrives(|| Defaults([1_u8, 2]));
        arrives(|| Defaults::<String, 0>([]));
        arrives(|| Bounded { map: HashMap::from([("a".to_owned(), 1_u8)]) });
        arrives(|| Choice::<u8, String>::Left(1));
        arrives(|| Choice::<u8, String>::Right { value: "r".to_owned() });
        arrives(|| Choice::Both(1_u8, "b".to_owned()));
        arrives(|| Choice::<u8, String>::Neither);
        assert_eq!(there(Typed::<NotAMessage> { id: 3, of: PhantomData }).id, 3);
    }

    #[test]
    fn an_associated_type_is_asked_for_itself() {
        let got = there(Exchange::<Ping> { request: 1, replies: vec!["pong".to_owned()] });
        assert_eq!((got.request, &got.replies[..]), (1, &["pong".to_owned()][..]));
    }

    #[test]
    fn recursion_has_an_end() {
        arrives(|| List { value: 1, next: Some(Box::new(List { value: 2, next: None })) });
        arrives(|| {
            Expression::Sum(vec![
                Expression::Value(1_u8),
                Expression::Call(Box::new(Call {
                    name: "f".to_owned(),
                    arguments: BTreeMap::from([("x".to_owned(), Expression::Sum(Vec::new()))]),
                })),
            ])
        });
    }

    #[test]
    fn self_is_the_message() {
        arrives(|| Sized2 { array: [1, 2] });
    }

    #[test]
    fn a_bound_of_ones_own_is_kept() {
        arrives(|| OwnBound { value: Some(List { value: 1, next: None }) });
        arrives(|| HalfBound { value: vec![1_u8] });
        arrives(|| VariantBound::A(List { value: 1, next: None }));
        arrives(|| VariantBound::<List>::B(1));
    }
}

mod names {
    use super::*;

    #[derive(Message, Debug, PartialEq)]
    #[allow(non_camel_case_types)]
    struct r#struct {
        r#type: u8,
        r#fn: String,
    }

    #[derive(Message, Debug, PartialEq)]
    #[allow(non_camel_case_types)]
    enum r#enum {
        r#match { r#loop: u8 },
        r#move(r#struct),
    }

    #[derive(Message)]
    #[serde(rename = "wire-name")]
    struct Renamed;

    #[derive(Message)]
    #[serde(rename(serialize = "sent", deserialize = "received"))]
    struct RenamedTwice;

    mod visible {
        #[derive(breezeway::Message, Debug, PartialEq)]
        pub(crate) struct Parts {
            private: u8,
            pub(in crate::names) narrow: u16,
            pub(crate) wide: u32,
        }

        impl Parts {
            pub(crate) fn new(private: u8) -> Self {
                Self { private, narrow: 2, wide: 3 }
            }
        }
    }

    /// A user's names that the expansion must not meet.
    mod shadowed {
        #![allow(dead_code, non_snake_case)]

        pub(super) struct Result;
        pub(super) struct Option;
        pub(super) struct Serialize;
        pub(super) struct Deserialize;
        pub(super) struct From;
        pub(super) struct Default;
        pub(super) struct Vec;
        pub(super) struct String;
        pub(super) struct Message;
        pub(super) fn Ok() {}
        pub(super) fn Err() {}
        pub(super) fn Some() {}
        pub(super) mod core {}
        pub(super) mod std {}
        pub(super) mod serde {}
        #[derive(::breezeway::Message)]
        pub(super) enum Plain {
            #[message(from)]
            A(u8),
            B {
                b: u16,
                #[serde(skip)]
                c: u8,
            },
        }
    }

    macro_rules! message {
        ($name:ident, $field:ident: $ty:ty, [$($bound:tt)*], $text:literal) => {
            #[derive(Message, Debug, PartialEq)]
            #[serde(rename = $text)]
            struct $name<T: $($bound)*> {
                $field: $ty,
                fixed: u8,
                more: Vec<T>,
            }
        };
    }

    message!(Made, field: Option<u64>, [Clone], "made");

    #[test]
    fn raw_identifiers_are_names_like_others() {
        arrives(|| r#struct { r#type: 1, r#fn: "f".to_owned() });
        arrives(|| r#enum::r#match { r#loop: 2 });
        arrives(|| r#enum::r#move(r#struct { r#type: 3, r#fn: String::new() }));
        assert_eq!(<r#struct as Message>::NAME, "struct");
    }

    #[test]
    fn the_name_is_serdes() {
        assert_eq!(Renamed::NAME, "wire-name");
        assert_eq!(RenamedTwice::NAME, "sent");
        assert_eq!(Made::<u8>::NAME, "made");
        assert_eq!(visible::Parts::NAME, "Parts");
    }

    #[test]
    fn private_fields_travel() {
        let got = there(visible::Parts::new(1));
        assert_eq!((got.narrow, got.wide), (2, 3));
        arrives(|| visible::Parts::new(1));
    }

    #[test]
    fn the_users_names_are_not_in_the_way() {
        assert!(matches!(there(shadowed::Plain::from(1)), shadowed::Plain::A(1)));
        assert!(matches!(there(shadowed::Plain::B { b: 2, c: 3 }), shadowed::Plain::B { b: 2, c: 0 }));
    }

    #[test]
    fn a_message_can_come_from_a_macro() {
        arrives(|| Made { field: Some(1), fixed: 2, more: vec![3_u8] });
    }

    #[test]
    fn a_message_can_be_local() {
        #[derive(Message, Debug, PartialEq)]
        struct Local(Inner);
        #[derive(Message, Debug, PartialEq)]
        struct Inner(u8);
        arrives(|| Local(Inner(1)));
    }

    #[test]
    fn breezeway_can_be_somewhere_else() {
        mod elsewhere {
            pub(super) use breezeway as channels;
        }
        #[derive(Message, Debug, PartialEq)]
        #[message(crate = "elsewhere::channels")]
        struct Far(u8);
        arrives(|| Far(1));
    }
}

mod attributes {
    use super::*;

    #[derive(Message, Debug, PartialEq)]
    #[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "a renamed struct")]
    struct RenamedFields {
        first_field: u8,
        #[serde(rename = "2nd", alias = "second", alias = "zweites")]
        second_field: u16,
        third_field: u32,
    }

    #[derive(Message, Debug, PartialEq)]
    #[serde(rename_all = "kebab-case", rename_all_fields = "SCREAMING_SNAKE_CASE")]
    enum RenamedVariants {
        #[serde(alias = "old-first", alias = "older-first")]
        FirstOne,
        #[serde(rename_all = "UPPERCASE")]
        SecondThing {
            some_field: u8,
            #[serde(alias = "x")]
            other_field: u16,
        },
        #[serde(rename = "3rd")]
        LastVariant(u8),
    }

    #[derive(Message, Debug, PartialEq)]
    #[serde(transparent)]
    struct Transparent<T> {
        value: Vec<T>,
        #[serde(skip)]
        cached: u8,
        of: PhantomData<T>,
    }

    fn eleven() -> u8 {
        11
    }

    #[derive(Debug, PartialEq)]
    struct NotAMessage;

    #[derive(Message, Debug, PartialEq)]
    struct Skipping<T, U> {
        #[serde(skip)]
        by_default: T,
        sent: u8,
        #[serde(skip, default = "eleven")]
        by_function: u8,
        #[serde(skip_serializing, skip_deserializing)]
        by_halves: Option<NotAMessage>,
        last: U,
    }

    #[derive(Message, Debug, PartialEq)]
    enum SkippingVariants<T> {
        One(#[serde(skip)] T),
        Two(u8, #[serde(skip)] T),
        Named {
            #[serde(skip)]
            a: T,
            b: u8,
        },
    }

    mod doubled {
        use serde::{Deserialize as _, Deserializer, Serializer};

        pub(super) fn serialize<S: Serializer>(value: &u32, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u32(value * 2)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
            u32::deserialize(deserializer)
        }
    }

    mod pair {
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

        pub(super) fn serialize<S: Serializer>(a: &u8, b: &u8, serializer: S) -> Result<S::Ok, S::Error> {
            (b, a).serialize(serializer)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(u8, u8), D::Error> {
            <(u8, u8)>::deserialize(deserializer).map(|(b, a)| (a, b + 1))
        }
    }

    #[derive(Message, Debug, PartialEq)]
    struct With {
        #[serde(with = "doubled")]
        both: u32,
        #[serde(serialize_with = "doubled::serialize")]
        sent: u32,
        #[serde(deserialize_with = "doubled::deserialize")]
        received: u32,
    }

    #[derive(Message, Debug, PartialEq)]
    enum WithVariant {
        #[serde(with = "pair")]
        Pair(u8, u8),
        #[serde(serialize_with = "pair::serialize")]
        Sent(u8, u8),
        #[serde(with = "doubled")]
        Number {
            value: u32,
        },
        Field(#[serde(with = "doubled")] u32),
    }

    mod foreign {
        /// A type of another crate, which derived plain serde.
        #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq, Clone)]
        pub(super) struct Point<T>(pub(super) T, pub(super) T);
    }

    #[derive(Message, Debug, PartialEq)]
    struct Opaque<T> {
        #[message(opaque = "v1")]
        fixed: foreign::Point<u8>,
        #[message(opaque = "v2")]
        generic: Vec<foreign::Point<T>>,
    }

    #[derive(Message, Debug, PartialEq)]
    enum OpaqueVariant {
        A(#[message(opaque = "v1")] foreign::Point<u8>),
    }

    #[derive(Message, Debug, PartialEq, Clone)]
    #[serde(into = "(u8, Vec<u8>)", try_from = "(u8, Vec<u8>)")]
    struct Checked {
        list: Vec<u8>,
    }

    impl From<Checked> for (u8, Vec<u8>) {
        fn from(checked: Checked) -> Self {
            // A list that starts with 0 lies about its length.
            let length = if checked.list.first() == Some(&0) { 0 } else { u8::try_from(checked.list.len()).unwrap_or(u8::MAX) };
            (length, checked.list)
        }
    }

    impl TryFrom<(u8, Vec<u8>)> for Checked {
        type Error = String;

        fn try_from((length, list): (u8, Vec<u8>)) -> Result<Self, String> {
            if usize::from(length) == list.len() { Ok(Self { list }) } else { Err(format!("{length} is not the length")) }
        }
    }

    #[derive(Message, Debug, PartialEq, Clone)]
    #[serde(into = "Option<T>", from = "Option<T>")]
    enum Maybe<T: Clone> {
        Some(T),
        None,
    }

    impl<T: Clone> From<Maybe<T>> for Option<T> {
        fn from(maybe: Maybe<T>) -> Self {
            match maybe {
                Maybe::Some(value) => Some(value),
                Maybe::None => None,
            }
        }
    }

    impl<T: Clone> From<Option<T>> for Maybe<T> {
        fn from(option: Option<T>) -> Self {
            option.map_or(Self::None, Self::Some)
        }
    }

    #[derive(Message, Debug, PartialEq)]
    enum Job<T> {
        #[message(from)]
        Text(String),
        #[message(from)]
        Numbers {
            list: Vec<T>,
        },
        Stop,
    }

    #[derive(Message, Debug, PartialEq)]
    #[deprecated]
    struct Old(u8);

    #[test]
    fn renaming_changes_no_value() {
        arrives(|| RenamedFields { first_field: 1, second_field: 2, third_field: 3 });
        arrives(|| RenamedVariants::FirstOne);
        arrives(|| RenamedVariants::SecondThing { some_field: 1, other_field: 2 });
        arrives(|| RenamedVariants::LastVariant(1));
    }

    #[test]
    fn a_transparent_struct_is_its_field() {
        let got = there(Transparent { value: vec![1_u8, 2], cached: 9, of: PhantomData });
        assert_eq!(got, Transparent { value: vec![1, 2], cached: 0, of: PhantomData });
    }

    #[test]
    fn a_skipped_field_has_its_default() {
        let sent = Skipping { by_default: 1_u64, sent: 2, by_function: 3, by_halves: Some(NotAMessage), last: 4_u8 };
        let expected = Skipping { by_default: 0, sent: 2, by_function: 11, by_halves: None, last: 4 };
        assert_eq!(there(sent), expected);
        assert_eq!(there(SkippingVariants::One(7_u8)), SkippingVariants::One(0));
        assert_eq!(there(SkippingVariants::Two(1, 7_u8)), SkippingVariants::Two(1, 0));
        assert_eq!(there(SkippingVariants::Named { a: 7_u8, b: 1 }), SkippingVariants::Named { a: 0, b: 1 });
    }

    #[test]
    fn functions_of_ones_own_are_used_and_the_other_half_is_supplied() {
        assert_eq!(there(With { both: 1, sent: 2, received: 3 }), With { both: 2, sent: 4, received: 3 });
        assert_eq!(there(WithVariant::Pair(1, 2)), WithVariant::Pair(1, 3));
        assert_eq!(there(WithVariant::Sent(1, 2)), WithVariant::Sent(2, 1));
        assert_eq!(there(WithVariant::Number { value: 4 }), WithVariant::Number { value: 8 });
        assert_eq!(there(WithVariant::Field(4)), WithVariant::Field(8));
    }

    #[test]
    fn an_opaque_field_goes_by_its_own_serde() {
        arrives(|| Opaque { fixed: foreign::Point(1, 2), generic: vec![foreign::Point("a".to_owned(), "b".to_owned())] });
        arrives(|| OpaqueVariant::A(foreign::Point(1, 2)));
    }

    #[test]
    fn another_type_can_travel_instead() {
        arrives(|| Checked { list: vec![1, 2, 3] });
        arrives(|| Maybe::Some(1_u8));
        arrives(|| Maybe::<u8>::None);
        let (near, far) = Channel::<Checked, Checked>::pair().unwrap();
        assert!(near.send(Checked { list: vec![0, 1] }).is_ok());
        assert!(far.recv().is_err(), "the other end must check the length");
    }

    #[test]
    fn a_variant_is_made_from_its_field() {
        assert_eq!(there(Job::<u8>::from("text".to_owned())), Job::Text("text".to_owned()));
        assert_eq!(there(Job::from(vec![1_u8])), Job::Numbers { list: vec![1] });
        arrives(|| Job::<u8>::Stop);
    }

    #[test]
    #[allow(deprecated)]
    fn a_deprecated_message_is_a_message() {
        arrives(|| Old(1));
    }
}
