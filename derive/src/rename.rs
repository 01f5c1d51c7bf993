//! The names that serde gives to fields and variants: `rename`, else the `rename_all` around them, else their own.
//!
//! serde knows two starting points: fields are written in snake case, variants in Pascal case. Layer below: none.

use proc_macro2::Ident;
use syn::ext::IdentExt;

/// The name of a field on the wire.
pub(crate) fn field(ident: &Ident, rename: Option<String>, rule: Option<&str>) -> String {
    rename.unwrap_or_else(|| {
        let own = ident.unraw().to_string();
        match rule {
            Some("PascalCase") => pascal(&own),
            Some("camelCase") => uncapitalised(&pascal(&own)),
            Some("UPPERCASE" | "SCREAMING_SNAKE_CASE") => own.to_ascii_uppercase(),
            Some("kebab-case") => own.replace('_', "-"),
            Some("SCREAMING-KEBAB-CASE") => own.to_ascii_uppercase().replace('_', "-"),
            // `lowercase` and `snake_case` are what fields are written in. serde refuses what is no rule.
            _ => own,
        }
    })
}

/// The name of a variant on the wire.
pub(crate) fn variant(ident: &Ident, rename: Option<String>, rule: Option<&str>) -> String {
    rename.unwrap_or_else(|| {
        let own = ident.unraw().to_string();
        match rule {
            Some("lowercase") => own.to_ascii_lowercase(),
            Some("UPPERCASE") => own.to_ascii_uppercase(),
            Some("camelCase") => uncapitalised(&own),
            Some("snake_case") => snake(&own, '_'),
            Some("SCREAMING_SNAKE_CASE") => snake(&own, '_').to_ascii_uppercase(),
            Some("kebab-case") => snake(&own, '-'),
            Some("SCREAMING-KEBAB-CASE") => snake(&own, '-').to_ascii_uppercase(),
            _ => own,
        }
    })
}

/// Every word with a capital, and nothing between them.
pub(crate) fn pascal(snake: &str) -> String {
    snake.split('_').map(capitalised).collect()
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), chars.as_str()))
}

fn uncapitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_lowercase(), chars.as_str()))
}

/// A separator before every capital but the first.
pub(crate) fn snake(pascal: &str, separator: char) -> String {
    let mut snake = String::new();
    for (index, c) in pascal.char_indices() {
        if index > 0 && c.is_uppercase() {
            snake.push(separator);
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
