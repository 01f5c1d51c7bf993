::core::compile_error! {
    "a message has no lifetimes: it is received as an owned value, for the other process does not share memory; own the data (`String`, `Vec<u8>`, `Bytes`)"
}
::core::compile_error! {
    "a union cannot be a message: nothing says which of its fields is there; use an enum"
}
const _: () = {
    #[automatically_derived]
    impl<'a> ::breezeway::__private::serde::Serialize for Either<'a>
    where
        Either<'a>: 'static,
    {
        fn serialize<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl<'__de, 'a> ::breezeway::__private::serde::Deserialize<'__de> for Either<'a>
    where
        Either<'a>: 'static,
    {
        fn deserialize<__D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            ::core::unreachable!()
        }
    }
    #[automatically_derived]
    impl<'a> ::breezeway::__private::Field for Either<'a>
    where
        Either<'a>: 'static,
    {
        const SCHEMA: ::breezeway::__private::Schema = ::breezeway::__private::Schema::new::<
            Self,
        >("Either", ::breezeway::__private::Kind::Tuple(&[]));
        fn serialize<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            <Self as ::breezeway::__private::serde::Serialize>::serialize(
                self,
                serializer,
            )
        }
        fn deserialize<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            <Self as ::breezeway::__private::serde::Deserialize<
                '__de,
            >>::deserialize(deserializer)
        }
    }
    #[automatically_derived]
    impl<'a> ::breezeway::__private::Message for Either<'a>
    where
        Either<'a>: 'static,
    {
        const NAME: &'static str = "Either";
    }
};
