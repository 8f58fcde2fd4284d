//! Topic and channel names: which are valid, and how an invalid one is quoted in an error.

use std::fmt;
use std::fmt::Write as _;

use crate::limits::NAME_SIZE_MAX;

/// Suffix of topics and channels that live without disk and vanish with their last user.
pub const EPHEMERAL_SUFFIX: &str = "#ephemeral";

/// Whether `name` may name a topic or a channel; the rule is the same for both:
/// `[.a-zA-Z0-9_-]+`, then perhaps `#ephemeral`, 1 to [`NAME_SIZE_MAX`] bytes in all.
pub fn is_valid(name: &[u8]) -> bool {
    let stem = name.strip_suffix(EPHEMERAL_SUFFIX.as_bytes()).unwrap_or(name);
    !stem.is_empty()
        && name.len() <= NAME_SIZE_MAX
        && stem.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// `name` as text where it is valid.
pub fn validate(name: &[u8]) -> Option<&str> {
    if is_valid(name) { std::str::from_utf8(name).ok() } else { None }
}

/// Whether a valid `name` is one of an ephemeral topic or channel.
pub fn is_ephemeral(name: &str) -> bool {
    name.ends_with(EPHEMERAL_SUFFIX)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Held inline, so that remembering and moving it costs no allocation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name {
            size: u8,
            // The bytes after `size` are zero, which makes the derived equality that of the name.
            bytes: [u8; NAME_SIZE_MAX],
        }

        impl $name {
            /// The name, or `None` where it breaks the rule of [`is_valid`].
            pub fn new(name: &[u8]) -> Option<Self> {
                if !is_valid(name) {
                    return None;
                }
                let mut bytes = [0; NAME_SIZE_MAX];
                bytes.get_mut(..name.len())?.copy_from_slice(name);
                Some(Self { size: u8::try_from(name.len()).ok()?, bytes })
            }

            /// The name as text; always ASCII.
            pub fn as_str(&self) -> &str {
                let bytes = self.bytes.get(..usize::from(self.size));
                bytes.and_then(|b| std::str::from_utf8(b).ok()).expect("invariant: a checked name is ASCII")
            }

            /// Whether it lives without disk and vanishes with its last user.
            pub fn is_ephemeral(&self) -> bool {
                is_ephemeral(self.as_str())
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name_type! {
    /// The valid name of a topic.
    TopicName
}
name_type! {
    /// The valid name of a channel.
    ChannelName
}

/// `raw` in double quotes as NSQ's error texts show names: quotes, backslashes and control bytes escaped, bytes
/// that are no UTF-8 as `\xNN`, unprintable characters as `\uNNNN` or `\UNNNNNNNN`, the rest as it is.
pub fn quote(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len() + 2);
    out.push('"');
    for chunk in raw.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_quoted(&mut out, c));
        chunk.invalid().iter().for_each(|&b| push_hex(&mut out, b));
    }
    out.push('"');
    out
}

fn push_quoted(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\0'..=' ' | '\x7f' if c != ' ' => push_hex(out, u8::try_from(c).unwrap_or(0x7f)),
        _ if is_printable(c) => out.push(c),
        _ => push_unicode(out, u32::from(c)),
    }
}

// Writing to a String cannot fail, so the results of `write!` are of no use here.
fn push_hex(out: &mut String, byte: u8) {
    let _ = write!(out, "\\x{byte:02x}");
}

fn push_unicode(out: &mut String, code: u32) {
    let _ = if code < 0x1_0000 { write!(out, "\\u{code:04x}") } else { write!(out, "\\U{code:08x}") };
}

/// Letters, marks, numbers, punctuation and symbols, by the Unicode tables of the standard library. They are
/// reached through `escape_debug`; the leading letter is there because a mark is escaped at the start of a
/// text, and only there.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let mut buffer = [b'x'; 5];
    let Some((_, tail)) = buffer.split_first_mut() else { return false };
    let size = c.encode_utf8(tail).len();
    let text = buffer.get(..=size).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
    text.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests;
