//! Numbers, text, addresses and times: as serde has them, except where serde accepts two encodings of one value or refuses a value
//! that Linux has (paths that are not UTF-8).

use super::bytes::{AsBytes, ByteBuf};
use super::{Field, Message};
use crate::schema::Schema;
use crate::schema::constant::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128,
    NonZeroUsize,
};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

macro_rules! as_serde_has_them {
    ($($type:ty: $name:literal $kind:expr;)+) => {$(
        impl Field for $type {
            const SCHEMA: Schema = Schema::new::<$type>($name, $kind);

            #[inline]
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Serialize::serialize(self, serializer)
            }

            #[inline]
            fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Deserialize::deserialize(deserializer)
            }
        }

        impl Message for $type {
            const NAME: &'static str = stringify!($type);
        }
    )+};
    ($($type:ident),+ $(,)?) => {
        as_serde_has_them! { $($type: "" Kind::Scalar(stringify!($type));)+ }
    };
}

as_serde_has_them! {
    bool, char, f32, f64,
    i8, i16, i32, i64, i128,
    u16, u32, u64, u128,
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128,
    NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128,
    CString,
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6,
}

as_serde_has_them! {
    (): "" Kind::Tuple(&[]);
    isize: "isize" Kind::Scalar("i64");
    usize: "usize" Kind::Scalar("u64");
    NonZeroIsize: "NonZeroIsize" Kind::Scalar("NonZeroI64");
    NonZeroUsize: "NonZeroUsize" Kind::Scalar("NonZeroU64");
    String: "" Kind::String;
    Box<str>: "" Kind::String;
}

/// A type without values: what stands in a message for an error that cannot be.
impl Field for Infallible {
    const SCHEMA: Schema = Schema::new::<Self>("Infallible", Kind::Enum(&[]));

    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }

    fn deserialize<'de, D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("a value of a type that has none"))
    }
}

impl<T: ?Sized + 'static> Field for PhantomData<T> {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Tuple(&[]));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer)
    }
}

/// The bytes of the name, whatever they are.
impl Field for OsString {
    const SCHEMA: Schema = Schema::new::<Self>("OsString", Kind::Bytes);

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AsBytes(self.as_bytes()).serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OsString, D::Error> {
        ByteBuf::deserialize(deserializer).map(|bytes| OsString::from_vec(bytes.0))
    }
}

/// The bytes of the path, whatever they are.
impl Field for PathBuf {
    const SCHEMA: Schema = Schema::new::<Self>("PathBuf", Kind::Bytes);

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AsBytes(self.as_os_str().as_bytes()).serialize(serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        <OsString as Field>::deserialize(deserializer).map(PathBuf::from)
    }
}

/// Whole seconds, and nanoseconds below one second.
impl Field for Duration {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Scalar("Duration"));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&(self.as_secs(), self.subsec_nanos()), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        match Deserialize::deserialize(deserializer)? {
            (seconds, nanos @ 0..=999_999_999) => Ok(Duration::new(seconds, nanos)),
            (_, _) => Err(D::Error::custom("a duration's nanoseconds are a second or more")),
        }
    }
}

/// The duration since 1970; earlier times cannot be sent.
impl Field for SystemTime {
    const SCHEMA: Schema = Schema::new::<Self>("", Kind::Scalar("SystemTime"));

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since = self.duration_since(UNIX_EPOCH).map_err(|_| S::Error::custom("a time before 1970 cannot be sent"))?;
        Field::serialize(&since, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let since = <Duration as Field>::deserialize(deserializer)?;
        UNIX_EPOCH.checked_add(since).ok_or_else(|| D::Error::custom("a time that the system cannot express"))
    }
}
