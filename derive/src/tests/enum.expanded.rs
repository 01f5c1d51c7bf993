const _: () = {
    #[derive(crate::__private::serde::Serialize, crate::__private::serde::Deserialize)]
    #[serde(
        remote = "Job",
        crate = "crate::__private::serde",
        rename(serialize = "Job", deserialize = "Job"),
        bound(serialize = "", deserialize = ""),
    )]
    enum __Shadow {
        Scan(
            #[serde(
                serialize_with = "<__Shadow>::serialize_0",
                deserialize_with = "<__Shadow>::deserialize_0"
            )]
            File,
        ),
        Wait {
            #[serde(
                serialize_with = "as_millis",
                deserialize_with = "<__Shadow>::deserialize_1"
            )]
            r#for: Duration,
        },
        Stop,
    }
    trait __Refused: ::core::marker::Sized {
        fn serialize<__T, __S>(
            _: &__T,
            _: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: crate::__private::serde::Serializer,
        {
            ::core::unreachable!()
        }
        fn deserialize<'__de, __T, __D>(
            _: __D,
        ) -> ::core::result::Result<__T, __D::Error>
        where
            __D: crate::__private::serde::Deserializer<'__de>,
        {
            ::core::unreachable!()
        }
    }
    impl __Refused for __Shadow {}
    #[automatically_derived]
    impl __Shadow {
        fn serialize_0<__S>(
            field: &File,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: crate::__private::serde::Serializer,
        {
            <File as crate::__private::Field>::serialize(field, serializer)
        }
        fn deserialize_0<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<File, __D::Error>
        where
            __D: crate::__private::serde::Deserializer<'__de>,
        {
            <File as crate::__private::Field>::deserialize(deserializer)
        }
        fn deserialize_1<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Duration, __D::Error>
        where
            __D: crate::__private::serde::Deserializer<'__de>,
        {
            <Duration as crate::__private::Field>::deserialize(deserializer)
        }
    }
    #[automatically_derived]
    impl crate::__private::serde::Serialize for Job {
        fn serialize<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: crate::__private::serde::Serializer,
        {
            <__Shadow>::serialize(self, serializer)
        }
    }
    #[automatically_derived]
    impl<'__de> crate::__private::serde::Deserialize<'__de> for Job {
        fn deserialize<__D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: crate::__private::serde::Deserializer<'__de>,
        {
            <__Shadow>::deserialize(deserializer)
        }
    }
    #[automatically_derived]
    impl crate::__private::Field for Job {
        const SCHEMA: crate::__private::Schema = crate::__private::Schema::new::<
            Self,
        >(
            "Job",
            crate::__private::Kind::Enum(
                &[
                    (
                        "Scan",
                        crate::__private::Payload::Tuple(
                            &[
                                crate::__private::Child::Of(
                                    <File as crate::__private::Field>::node,
                                ),
                            ],
                        ),
                    ),
                    (
                        "Wait",
                        crate::__private::Payload::Struct(
                            &[
                                (
                                    "for",
                                    crate::__private::Child::Of(
                                        <Duration as crate::__private::Field>::node,
                                    ),
                                ),
                            ],
                        ),
                    ),
                    ("Stop", crate::__private::Payload::Tuple(&[])),
                ],
            ),
        );
        fn serialize<__S>(
            &self,
            serializer: __S,
        ) -> ::core::result::Result<__S::Ok, __S::Error>
        where
            __S: crate::__private::serde::Serializer,
        {
            <Self as crate::__private::serde::Serialize>::serialize(self, serializer)
        }
        fn deserialize<'__de, __D>(
            deserializer: __D,
        ) -> ::core::result::Result<Self, __D::Error>
        where
            __D: crate::__private::serde::Deserializer<'__de>,
        {
            <Self as crate::__private::serde::Deserialize<
                '__de,
            >>::deserialize(deserializer)
        }
    }
    #[automatically_derived]
    impl crate::__private::Message for Job {
        const NAME: &'static str = "Job";
    }
    #[automatically_derived]
    impl ::core::convert::From<File> for Job {
        fn from(value: File) -> Self {
            Self::Scan(value)
        }
    }
};
