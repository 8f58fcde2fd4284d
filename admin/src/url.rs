//! Texts in URLs.

/// A text as a value of a query: everything but letters, digits and `-_.~` is escaped.
pub fn argument(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A URL with these arguments.
pub fn with_arguments(url: &str, arguments: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        arguments.iter().map(|(name, value)| format!("{name}={}", argument(value))).collect();
    format!("{url}?{}", pairs.join("&"))
}

/// Brings a `--base-path` into form: a slash before, none behind, dots resolved; empty for the root.
pub fn clean_base_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    segments.iter().map(|segment| format!("/{segment}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_out_of_its_argument() {
        assert_eq!(argument("a#ephemeral&b=c d/é"), "a%23ephemeral%26b%3Dc%20d%2F%C3%A9");
        assert_eq!(
            with_arguments("http://h/x", &[("topic", "a&b"), ("channel", "c")]),
            "http://h/x?topic=a%26b&channel=c"
        );
    }

    #[test]
    fn base_paths_are_cleaned() {
        for (given, clean) in [
            ("", ""),
            ("/", ""),
            ("foo", "/foo"),
            ("/foo/", "/foo"),
            ("/a//b", "/a/b"),
            ("/a/../b", "/b"),
            ("../..", ""),
        ] {
            assert_eq!(clean_base_path(given), clean, "{given}");
        }
    }
}
