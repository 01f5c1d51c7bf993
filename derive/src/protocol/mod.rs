//! The attribute macro `#[protocol]`: a trait becomes message enums, a client and a service.
//!
//! The same way as the derive: tokens with their spans (`parse`), the protocol in our nouns (`model`), every error (`check`), and code, which
//! cannot fail (`expand`). A method that is refused is left out of the code, so that only its own error is seen.

mod calls;
mod check;
mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;

use crate::parse::Errors;

/// The items of a protocol, and every error.
pub(crate) fn protocol(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let declaration = match syn::parse2::<parse::Declaration>(item) {
        Ok(declaration) => declaration,
        // There is nothing to make anything of.
        Err(error) => return error.into_compile_error(),
    };
    let mut protocol = model::Protocol::new(options, declaration, &mut errors);
    check::check(&mut protocol, &mut errors);
    let mut expanded = expand::expand(&protocol);
    expanded.extend(errors.into_compile_errors());
    expanded
}
