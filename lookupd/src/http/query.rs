//! Arguments in the URL, read as Go reads them.

use std::borrow::Cow;

/// The query is malformed: a bad percent escape, or a `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueryError;

/// Decoded; need not be UTF-8.
type Text<'a> = Cow<'a, [u8]>;

/// The decoded arguments of one request.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pairs: Vec<(Text<'a>, Text<'a>)>,
}

impl<'a> Query<'a> {
    /// Reads what stands behind the `?`.
    ///
    /// # Errors
    ///
    /// Where any part of it is malformed, needed or not: a client that escapes wrongly should hear of it.
    pub(super) fn parse(query: &'a str) -> Result<Self, QueryError> {
        let mut pairs = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            if part.contains(';') {
                return Err(QueryError);
            }
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((unescape(key, true)?, unescape(value, true)?));
        }
        Ok(Self { pairs })
    }

    /// The first value of an argument; `None` where it is missing, empty where it has none.
    pub(super) fn first(&self, name: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|(key, _)| **key == *name.as_bytes()).map(|(_, value)| &**value)
    }
}

/// Resolves percent escapes, and with `plus` also the `+` that stands for a space.
///
/// # Errors
///
/// Where a `%` is not followed by two hex digits.
pub(super) fn unescape(text: &str, plus: bool) -> Result<Text<'_>, QueryError> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|&byte| byte == b'%' || (plus && byte == b'+')) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'%' => {
                let (&digits, behind) = rest.split_first_chunk::<2>().ok_or(QueryError)?;
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                let value = high.ok_or(QueryError)? << 4 | low.ok_or(QueryError)?;
                out.push(value as u8);
                rest = behind;
            }
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_several_values_counts() {
        let query = Query::parse("x=1&topic=first&topic=second&&y=&z").unwrap();
        assert_eq!(query.first("topic"), Some(&b"first"[..]));
        assert_eq!(query.first("y"), Some(&b""[..]));
        assert_eq!(query.first("z"), Some(&b""[..]));
        assert_eq!(query.first("Topic"), None);
    }

    #[test]
    fn escapes_are_resolved_in_keys_and_values() {
        let query = Query::parse("%74opic=a%2Db+c%23ephemeral=d").unwrap();
        assert_eq!(query.first("topic"), Some(&b"a-b c#ephemeral=d"[..]));
        assert_eq!(&*unescape("a+b%2B", false).unwrap(), b"a+b+");
    }

    #[test]
    fn a_malformed_query_is_refused_as_a_whole() {
        for query in ["topic=%zz", "topic=%", "topic=%4", "topic=t;channel=c", "%zz=1&topic=t", ";", "a&;"] {
            assert_eq!(Query::parse(query).unwrap_err(), QueryError, "{query}");
        }
    }
}
