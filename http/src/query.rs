//! The arguments of a request: a query or a form, decoded as Go does it.

use std::borrow::Cow;

/// Most arguments of one request, as in Go: each costs a few dozen bytes, but only one of the request.
const ARGUMENTS_MAX: usize = 10_000;

/// A query that cannot be decoded. NSQ answers 400 `INVALID_REQUEST` ([`ApiError`](crate::ApiError) has the
/// conversion).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadQuery;

/// Decoded keys and values, in order. Values are bytes: an escape may stand for anything.
#[derive(Debug, Default)]
pub struct Query<'a>(Vec<Pair<'a>>);

#[derive(Debug)]
struct Pair<'a> {
    key: Cow<'a, [u8]>,
    value: Cow<'a, [u8]>,
}

impl<'a> Query<'a> {
    /// Decodes `key=value&…`, what stands behind the `?` or in a form.
    ///
    /// # Errors
    ///
    /// One bad pair makes all of it bad, even if nobody asks for that key: a client that escapes wrongly should hear
    /// of it.
    pub fn parse(raw: &'a [u8]) -> Result<Self, BadQuery> {
        let mut pairs = Vec::new();
        for pair in raw.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            // Once a separator like `&`; taking it for either would give an argument a second meaning.
            if pair.contains(&b';') || pairs.len() == ARGUMENTS_MAX {
                return Err(BadQuery);
            }
            let (key, value) = match pair.iter().position(|&byte| byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &[][..]),
            };
            let decoded = |raw: &'a [u8]| decode(raw, true).ok_or(BadQuery);
            pairs.push(Pair { key: decoded(key)?, value: decoded(value)? });
        }
        Ok(Self(pairs))
    }

    /// The first value of `key`: `None` where it is missing, empty where it has none.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0.iter().find(|pair| *pair.key == *key.as_bytes()).map(|pair| &*pair.value)
    }

    /// The first value of `key` as text, empty where there is none. What is no UTF-8 is replaced, by a character
    /// that no name contains.
    pub fn text(&self, key: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(key).unwrap_or_default())
    }
}

/// Percent-decodes; `None` for an escape that is none. In a query `+` is a space, in a path it is itself.
pub fn decode(raw: &[u8], plus_is_space: bool) -> Option<Cow<'_, [u8]>> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            b'+' if plus_is_space => b' ',
            _ => byte,
        });
    }
    Some(Cow::Owned(decoded))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(query: &'a str, key: &str) -> Option<String> {
        let query: Query<'a> = Query::parse(query.as_bytes()).unwrap();
        query.get(key).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn the_first_of_repeated_keys_wins() {
        assert_eq!(get("topic=first&topic=second", "topic").as_deref(), Some("first"));
        assert_eq!(get("topic=&topic=second", "topic").as_deref(), Some(""));
    }

    #[test]
    fn keys_and_values_are_decoded_and_keys_have_a_case() {
        assert_eq!(get("topic=%61bc", "topic").as_deref(), Some("abc"));
        assert_eq!(get("%74opic=bykey", "topic").as_deref(), Some("bykey"));
        assert_eq!(get("topic=a+b%2Bc%23ephemeral", "topic").as_deref(), Some("a b+c#ephemeral"));
        assert_eq!(get("topic=a=b", "topic").as_deref(), Some("a=b"));
        assert_eq!(get("Topic=t", "topic"), None);
    }

    #[test]
    fn a_key_alone_is_an_empty_value_and_empty_pairs_are_nothing() {
        assert_eq!(get("topic", "topic").as_deref(), Some(""));
        assert_eq!(get("&&topic=amp&&", "topic").as_deref(), Some("amp"));
        assert_eq!(get("", "topic"), None);
    }

    #[test]
    fn semicolons_and_bad_escapes_spoil_the_whole_query() {
        for query in [
            "topic=t;x=1",
            "x=1;topic=t",
            ";",
            "a&;",
            "topic=a%",
            "topic=a%4",
            "x=%gg&topic=t",
            "%zz",
            "a=%+1",
        ] {
            assert!(Query::parse(query.as_bytes()).is_err(), "{query}");
        }
    }

    #[test]
    fn the_number_of_arguments_is_bounded() {
        assert!(Query::parse("a&".repeat(ARGUMENTS_MAX).as_bytes()).is_ok());
        assert!(Query::parse("a&".repeat(ARGUMENTS_MAX + 1).as_bytes()).is_err());
    }

    #[test]
    fn a_plus_in_a_path_is_itself() {
        assert_eq!(decode(b"a+b%20c", false).unwrap(), &b"a+b c"[..]);
    }
}
