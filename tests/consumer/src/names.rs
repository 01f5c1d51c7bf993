//! Names that are keywords, and fields that not everybody may see.

use bz::Message;

/// A keyword, with keywords in it.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
#[allow(non_camel_case_types)]
pub struct r#struct {
    /// A keyword.
    pub r#type: u8,
    /// Another.
    pub r#fn: String,
}

/// The same as an enum.
#[derive(Message, Debug, Clone, PartialEq)]
#[message(crate = "bz")]
#[allow(non_camel_case_types)]
pub enum r#enum {
    /// A keyword, with a keyword in it.
    r#match {
        /// A keyword.
        r#loop: u8,
    },
    /// A struct in it.
    r#move(r#struct),
}

/// Fields that others see, or not.
pub mod visible {
    use bz::Message;

    /// One of each.
    #[derive(Message, Debug, Clone, PartialEq)]
    #[message(crate = "bz")]
    pub struct Parts {
        private: u8,
        pub(super) parents: u16,
        pub(in crate::names) narrow: u32,
        pub(crate) wide: u64,
        /// For everybody.
        pub public: u128,
    }

    /// All the same number.
    #[must_use]
    pub fn all(number: u8) -> Parts {
        Parts { private: number, parents: number.into(), narrow: number.into(), wide: number.into(), public: number.into() }
    }

    impl Parts {
        /// What only this module sees.
        #[must_use]
        pub fn private(&self) -> u8 {
            self.private
        }
    }
}

/// What this module and this crate see of them.
#[must_use]
pub fn seen(parts: &visible::Parts) -> u128 {
    u128::from(parts.parents) + u128::from(parts.narrow) + u128::from(parts.wide) + parts.public
}
