//! JSON as Go's encoder writes it.

use std::io;

use nsq_protocol::json::push_escaped;
pub use nsq_protocol::json::push_string;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

/// `value` as compact JSON with Go's escapes. For structs of texts, numbers and lists: keys of maps must be texts.
pub fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(512);
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, GoFormatter(CompactFormatter));
    value
        .serialize(&mut serializer)
        .expect("invariant: structs of texts and numbers can be written to memory");
    json
}

/// Compact JSON in which `<`, `>`, `&` and the two line separators are escaped as well.
struct GoFormatter(CompactFormatter);

impl Formatter for GoFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_plain = !fragment.contains(['<', '>', '&', '\u{2028}', '\u{2029}']);
        if is_plain {
            return self.0.write_string_fragment(writer, fragment);
        }
        let mut escaped = String::with_capacity(fragment.len() + 16);
        push_escaped(&mut escaped, fragment);
        writer.write_all(escaped.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What NSQ's encoder makes of a text in which each kind of character occurs.
    const TEXT: &str = "é<b>&\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}\u{2028}\u{2029}日";
    const JSON: &str = "\"é\\u003cb\\u003e\\u0026\\\"\\\\\\n\\r\\t\\b\\f\\u0001\u{7f}\\u2028\\u2029日\"";

    #[test]
    fn texts_are_escaped_as_go_does_by_both_writers() {
        assert_eq!(String::from_utf8(to_json(&TEXT)).unwrap(), JSON);
        let mut json = String::new();
        push_string(&mut json, TEXT);
        assert_eq!(json, JSON);
    }
}
