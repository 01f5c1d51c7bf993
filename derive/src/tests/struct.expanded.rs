const _: () = {
    #[derive(
        ::breezeway::__private::serde::Serialize,
        ::breezeway::__private::serde::Deserialize
    )]
    #[serde(
        remote = "Tree",
        crate = "::breezeway::__private::serde",
        rename(serialize = "Tree", deserialize = "Tree"),
        bound(serialize = "", deserialize = ""),
        rename_all = "camelCase",
    )]
    struct __Shadow<T: Clone>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {
        #[serde(
            serialize_with = "<__Shadow<T>>::serialize_0",
            deserialize_with = "<__Shadow<T>>::deserialize_0"
        )]
        leaf: T,
        #[serde(
            serialize_with = "<__Shadow<T>>::serialize_1",
            deserialize_with = "<__Shadow<T>>::deserialize_1"
        )]
        children: Vec<Tree<T>>,
        #[serde(skip)]
        cached: Option<T>,
        #[serde(
            serialize_with = "<__Shadow<T>>::serialize_3",
            deserialize_with = "<__Shadow<T>>::deserialize_3"
        )]
        point: Point<T>,
    }
    trait __Refused: ::core::marker::Sized {
        fn serialize<__T, __S>(
            _: &__T,
            _: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            ::core::unreachable!()
        }
        fn deserialize<'__de, __T, __D>(
            _: __D,
        ) -> ::core::result::Result<__T, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            ::core::unreachable!()
        }
    }
    impl<T: Clone> __Refused for __Shadow<T>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {}
    #[automatically_derived]
    impl<T: Clone> __Shadow<T>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {
        fn serialize_0<__S>(
            field: &T,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            <T as ::breezeway::__private::Field>::serialize(field, serializer)
        }
        fn deserialize_0<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<T, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            <T as ::breezeway::__private::Field>::deserialize(deserializer)
        }
        fn serialize_1<__S>(
            field: &Vec<Tree<T>>,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            <Vec<Tree<T>> as ::breezeway::__private::Field>::serialize(field, serializer)
        }
        fn deserialize_1<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Vec<Tree<T>>, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            <Vec<Tree<T>> as ::breezeway::__private::Field>::deserialize(deserializer)
        }
        fn serialize_3<__S>(
            field: &Point<T>,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            <Point<
                T,
            > as ::breezeway::__private::serde::Serialize>::serialize(field, serializer)
        }
        fn deserialize_3<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Point<T>, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            <Point<
                T,
            > as ::breezeway::__private::serde::Deserialize<
                '__de,
            >>::deserialize(deserializer)
        }
    }
    #[automatically_derived]
    impl<T: Clone> ::breezeway::__private::serde::Serialize for Tree<T>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {
        fn serialize<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: ::breezeway::__private::serde::Serializer,
        {
            <__Shadow<T>>::serialize(self, serializer)
        }
    }
    #[automatically_derived]
    impl<'__de, T: Clone> ::breezeway::__private::serde::Deserialize<'__de> for Tree<T>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {
        fn deserialize<__D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: ::breezeway::__private::serde::Deserializer<'__de>,
        {
            <__Shadow<T>>::deserialize(deserializer)
        }
    }
    #[automatically_derived]
    impl<T: Clone> ::breezeway::__private::Field for Tree<T>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {
        const SCHEMA: ::breezeway::__private::Schema = ::breezeway::__private::Schema::new::<
            Self,
        >(
            "Tree",
            ::breezeway::__private::Kind::Struct(
                &[
                    (
                        "leaf",
                        ::breezeway::__private::Child::Of(
                            <T as ::breezeway::__private::Field>::node,
                        ),
                    ),
                    (
                        "children",
                        ::breezeway::__private::Child::Of(
                            <Vec<Tree<T>> as ::breezeway::__private::Field>::node,
                        ),
                    ),
                    ("point", ::breezeway::__private::Child::Opaque("v1")),
                ],
            ),
        );
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
    impl<T: Clone> ::breezeway::__private::Message for Tree<T>
    where
        T: 'static,
        T: ::breezeway::__private::Field,
        T: ::core::default::Default,
        Point<
            T,
        >: ::breezeway::__private::serde::Serialize
            + ::breezeway::__private::serde::de::DeserializeOwned,
    {
        const NAME: &'static str = "Tree";
    }
};
