//! Every address that a page names. Nothing else may build one, so that the base path is never forgotten.

use std::fmt::Write;

/// Addresses under a base path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Empty, or `/a/b`.
    base: String,
}

impl Links {
    /// Under `/` or a path such as `/a/b`.
    pub fn new(base_path: &str) -> Self {
        Links { base: base_path.trim_end_matches('/').to_owned() }
    }

    /// The address of a path that begins with a slash.
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The first page.
    pub fn overview(&self) -> String {
        if self.base.is_empty() { "/".to_owned() } else { self.base.clone() }
    }

    /// One of the pages without arguments: `topics`, `channels`, `nodes`, `lookup`, `counter`, `search`, `audit`, `help`.
    pub fn page(&self, name: &str) -> String {
        self.at(&format!("/{name}"))
    }

    /// A topic.
    pub fn topic(&self, topic: &str) -> String {
        self.at(&format!("/topics/{}", segment(topic)))
    }

    /// A channel.
    pub fn channel(&self, topic: &str, channel: &str) -> String {
        self.at(&format!("/topics/{}/{}", segment(topic), segment(channel)))
    }

    /// An nsqd.
    pub fn node(&self, node: &str) -> String {
        self.at(&format!("/nodes/{}", segment(node)))
    }

    /// Where a plan of actions is shown.
    pub fn confirm(&self) -> String {
        self.at("/ui/confirm")
    }

    /// Where an action is posted to.
    pub fn act(&self) -> String {
        self.at("/ui/act")
    }

    /// A file of the page, by its name with the hash.
    pub fn asset(&self, name: &str) -> String {
        self.at(&format!("/static/{name}"))
    }

    /// The API.
    pub fn api(&self, path: &str) -> String {
        self.at(&format!("/api/{path}"))
    }

    /// The path of a request without the base path; none if it lies outside.
    pub fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let below = path.strip_prefix(self.base.as_str())?;
        if below.is_empty() { Some("/") } else { below.starts_with('/').then_some(below) }
    }

    /// Whether an address is one of ours, and may be returned to after an action: a path below the base path. An address
    /// that a browser would take for another host (`//host`, `/\host`) is not.
    pub fn is_own(&self, address: &str) -> bool {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        self.below(path).is_some()
            && address.starts_with('/')
            && !address.starts_with("//")
            && !address.contains('\\')
            && !address.contains(|c: char| c.is_control())
    }
}

/// A text as one segment of a path, or as a value of a query.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    // A path made of dots alone would be taken for "here" or "one up".
    if out == "." || out == ".." { out.replace('.', "%2E") } else { out }
}

/// The bytes that a percent-encoded text stands for, as text; `+` is a space. What is no UTF-8 is replaced.
pub fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    let hex = |byte: Option<&u8>| byte.and_then(|&byte| char::from(byte).to_digit(16));
    while let Some(&byte) = bytes.get(at) {
        match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) if plus_is_space => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The pairs of a query or of a posted form.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key, true), decode(value, true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_lies_under_the_base_path() {
        let links = Links::new("/a/b/");
        assert_eq!(links.overview(), "/a/b");
        assert_eq!(links.channel("t", "c#ephemeral"), "/a/b/topics/t/c%23ephemeral");
        assert_eq!(links.node("[::1]:4151"), "/a/b/nodes/%5B::1%5D:4151");
        assert_eq!(Links::new("/").overview(), "/");
        assert_eq!(Links::new("/").topic("%2F../<x>"), "/topics/%252F..%2F%3Cx%3E");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn only_own_addresses_are_returned_to() {
        let links = Links::new("/a");
        for own in ["/a", "/a/topics?q=x", "/a?sort=-depth"] {
            assert!(links.is_own(own), "{own}");
        }
        for foreign in ["//evil", "/ab", "https://evil/a", "/a\\evil", "/\\evil", "", "javascript:x", "/a/\n"]
        {
            assert!(!links.is_own(foreign), "{foreign}");
        }
        assert!(!Links::new("/").is_own("//evil.example/"));
        assert!(Links::new("/").is_own("/"));
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        for text in ["a b", "ä/ö", "100%", "<&\">", "x#ephemeral", "+"] {
            assert_eq!(decode(&segment(text), true), text);
        }
        assert_eq!(decode("%", true), "%");
        assert_eq!(decode("%zz%4", true), "%zz%4");
        assert_eq!(decode("%ff", true), "\u{fffd}");
        assert_eq!(pairs("a=1&&b=x+y&c").collect::<Vec<_>>().len(), 3);
    }
}
