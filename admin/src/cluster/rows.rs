//! Lists of unknown length in answers of others.
//!
//! An answer is bounded in bytes, but `{}` is two of them and becomes a row of hundreds. So the rows of one answer are
//! bounded as well, over all its lists.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Rows of one answer: topics, channels, consumers and producers together.
pub const ROWS_MAX: usize = 200_000;

thread_local! {
    /// Rows that the answer being read may still have. Reading never leaves its thread.
    static ROOM: Cell<usize> = const { Cell::new(0) };
}

/// Reads an answer whose lists use [`rows`].
///
/// # Errors
///
/// Where it is no such JSON, or has more rows than the bound.
pub fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    ROOM.set(ROWS_MAX);
    serde_json::from_slice(json)
}

/// A list; `null` is an empty one. For `deserialize_with`.
pub(crate) fn rows<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Rows(PhantomData))
}

/// The same where `null` is to be told from an empty list.
pub(crate) fn some_rows<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Some_<T>(Option<Vec<T>>);
    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Some_<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            rows(deserializer).map(|rows| Self(Some(rows)))
        }
    }
    Ok(Option::<Some_<T>>::deserialize(deserializer)?.and_then(|some| some.0))
}

struct Rows<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Rows<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or null")
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = list.next_element()? {
            let room = ROOM.get().checked_sub(1);
            ROOM.set(room.ok_or_else(|| A::Error::custom(format_args!("more than {ROWS_MAX} rows")))?);
            rows.push(row);
        }
        rows.shrink_to_fit();
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Answer {
        #[serde(deserialize_with = "rows")]
        outer: Vec<Inner>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        #[serde(deserialize_with = "some_rows")]
        inner: Option<Vec<u8>>,
    }

    #[test]
    fn null_is_an_empty_list() {
        assert!(parse::<Answer>(br#"{"outer":null}"#).unwrap().outer.is_empty());
        assert!(parse::<Answer>(b"{}").unwrap().outer.is_empty());
        let answer: Answer = parse(br#"{"outer":[{"inner":null},{"inner":[]},{"inner":[1]},{}]}"#).unwrap();
        let inner: Vec<_> = answer.outer.into_iter().map(|row| row.inner).collect();
        assert_eq!(inner, [None, Some(vec![]), Some(vec![1]), None]);
        assert!(parse::<Answer>(br#"{"outer":"t"}"#).is_err());
    }

    #[test]
    fn the_rows_of_all_lists_together_are_bounded() {
        let of = |count: usize| {
            let half = format!("{{\"inner\":[{}1]}}", "1,".repeat(count / 2 - 2));
            format!("{{\"outer\":[{half},{half}]}}")
        };
        assert!(parse::<Answer>(of(ROWS_MAX).as_bytes()).is_ok());
        assert!(parse::<Answer>(of(ROWS_MAX + 2).as_bytes()).unwrap_err().to_string().contains("more than"));
        // The bound is for each answer anew.
        assert!(parse::<Answer>(of(ROWS_MAX).as_bytes()).is_ok());
    }
}
