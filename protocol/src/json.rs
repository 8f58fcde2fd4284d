//! Just enough JSON for the flat objects of NSQ's handshakes, read the way NSQ's own decoder reads them.
//!
//! A general parser is the wrong tool here because the differences are visible on the wire: keys match in any
//! case, `null` leaves a field alone, `30000.0` is no integer, and broken UTF-8 or lone surrogates in a text
//! become U+FFFD instead of an error. Nested values are checked and skipped without allocation, no deeper than
//! [`JSON_DEPTH_MAX`].

use std::borrow::Cow;

use crate::limits::JSON_DEPTH_MAX;

/// The body is no JSON, or not of the expected types. Clients are not told more, so nothing more is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError;

type Result<T> = std::result::Result<T, JsonError>;

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(&'a str),
    /// A string.
    Text(Text<'a>),
    /// An array or object, already skipped.
    Nested,
}

impl<'a> Value<'a> {
    /// Puts the value into `field`, which stays as it is for `null`.
    ///
    /// # Errors
    ///
    /// Where the value is something else than a boolean or `null`.
    pub fn read_bool(self, field: &mut bool) -> Result<()> {
        match self {
            Self::Bool(value) => *field = value,
            Self::Null => {}
            _ => return Err(JsonError),
        }
        Ok(())
    }

    /// Puts the value into `field`, which stays as it is for `null`.
    ///
    /// # Errors
    ///
    /// Where the value is something else than an integer in range or `null`; an integer has neither fraction
    /// nor exponent.
    pub fn read_integer<N: std::str::FromStr>(self, field: &mut N) -> Result<()> {
        match self {
            Self::Number(digits) => *field = digits.parse().map_err(|_| JsonError)?,
            Self::Null => {}
            _ => return Err(JsonError),
        }
        Ok(())
    }

    /// Puts the value into `field`, which stays as it is for `null`.
    ///
    /// # Errors
    ///
    /// Where the value is something else than a string or `null`.
    pub fn read_text(self, field: &mut String) -> Result<()> {
        match self {
            Self::Text(text) => *field = text.decode().into_owned(),
            Self::Null => {}
            _ => return Err(JsonError),
        }
        Ok(())
    }
}

/// Bytes that stand for one character of a name at most: `\u0073`.
const ESCAPE_SIZE_MAX: usize = 6;

/// What stands between the quotes of a string, known to be well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// The text that is meant.
    pub fn decode(self) -> Cow<'a, str> {
        if !self.0.contains(&b'\\')
            && let Ok(plain) = std::str::from_utf8(self.0)
        {
            return Cow::Borrowed(plain);
        }
        let mut out = String::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some(at) = rest.iter().position(|&b| b == b'\\') {
            let (plain, escape) = rest.split_at(at);
            push_plain(&mut out, plain);
            rest = push_escape(&mut out, escape);
        }
        push_plain(&mut out, rest);
        Cow::Owned(out)
    }

    /// Whether this is `name` (ASCII, lower case) in any case. Two letters beyond ASCII count as the case of
    /// one within: the long s and the Kelvin sign.
    pub fn is_key(self, name: &str) -> bool {
        let fold = |c| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        };
        // Longer than its every character escaped: not worth decoding, and a body has room for a very long one.
        self.0.len() <= ESCAPE_SIZE_MAX * name.len() && self.decode().chars().map(fold).eq(name.chars())
    }
}

/// Each byte that is no UTF-8 counts as one broken character.
fn push_plain(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
}

/// Decodes the escape that `input` starts with; what follows it.
fn push_escape<'a>(out: &mut String, input: &'a [u8]) -> &'a [u8] {
    let (size, c) = match input.get(1) {
        Some(b'u') => unicode_escape(input),
        Some(b'b') => (2, '\x08'),
        Some(b'f') => (2, '\x0c'),
        Some(b'n') => (2, '\n'),
        Some(b'r') => (2, '\r'),
        Some(b't') => (2, '\t'),
        Some(&other) => (2, char::from(other)),
        None => (1, char::REPLACEMENT_CHARACTER),
    };
    out.push(c);
    input.get(size..).unwrap_or_default()
}

/// `\uNNNN`, or two of them where they are a surrogate pair, and the bytes taken.
fn unicode_escape(input: &[u8]) -> (usize, char) {
    let unit = |at| {
        let digits = input.get(at..).and_then(|r: &[u8]| r.strip_prefix(b"\\u"))?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let units = [unit(0).unwrap_or(0xfffd), unit(6).unwrap_or(0)];
    match char::decode_utf16(units).next() {
        Some(Ok(c)) if c.len_utf16() == 2 => (12, c),
        Some(Ok(c)) => (6, c),
        _ => (6, char::REPLACEMENT_CHARACTER),
    }
}

/// Calls `field` for each member of the one object in `input`, in order, repeated keys included. A literal
/// `null` is an object without members.
///
/// # Errors
///
/// Where `input` is anything else, nests deeper than [`JSON_DEPTH_MAX`], or `field` refuses. The members
/// before the offending place have been handed out by then.
pub fn read_object<'a>(
    input: &'a [u8],
    mut field: impl FnMut(Text<'a>, Value<'a>) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader { rest: input };
    reader.skip_space();
    if reader.rest.first() == Some(&b'n') {
        reader.literal(b"null")?;
    } else {
        reader.object(1, &mut field)?;
    }
    reader.skip_space();
    if reader.rest.is_empty() { Ok(()) } else { Err(JsonError) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn literal(&mut self, word: &[u8]) -> Result<()> {
        self.rest = self.rest.strip_prefix(word).ok_or(JsonError)?;
        Ok(())
    }

    /// Takes `byte` if it comes next, white space aside.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.eat(byte) { Ok(()) } else { Err(JsonError) }
    }

    fn object(
        &mut self,
        depth: usize,
        field: &mut dyn FnMut(Text<'a>, Value<'a>) -> Result<()>,
    ) -> Result<()> {
        if depth > JSON_DEPTH_MAX {
            return Err(JsonError);
        }
        self.expect(b'{')?;
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            let key = self.text()?;
            self.expect(b':')?;
            let value = self.value(depth)?;
            field(key, value)?;
            if !self.eat(b',') {
                return self.expect(b'}');
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<()> {
        if depth > JSON_DEPTH_MAX {
            return Err(JsonError);
        }
        self.expect(b'[')?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            if !self.eat(b',') {
                return self.expect(b']');
            }
        }
    }

    /// A value within something of `depth`.
    fn value(&mut self, depth: usize) -> Result<Value<'a>> {
        self.skip_space();
        match self.rest.first() {
            Some(b'"') => Ok(Value::Text(self.text()?)),
            Some(b'{') => self.object(depth + 1, &mut |_, _| Ok(())).map(|()| Value::Nested),
            Some(b'[') => self.array(depth + 1).map(|()| Value::Nested),
            Some(b't') => self.literal(b"true").map(|()| Value::Bool(true)),
            Some(b'f') => self.literal(b"false").map(|()| Value::Bool(false)),
            Some(b'n') => self.literal(b"null").map(|()| Value::Null),
            _ => self.number(),
        }
    }

    fn text(&mut self) -> Result<Text<'a>> {
        let start = self.rest.strip_prefix(b"\"").ok_or(JsonError)?;
        let mut rest = start;
        loop {
            rest = match rest {
                [b'"', after @ ..] => {
                    self.rest = after;
                    let size = start.len() - rest.len();
                    return start.get(..size).map(Text).ok_or(JsonError);
                }
                [b'\\', b'u', a, b, c, d, after @ ..]
                    if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
                {
                    after
                }
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', after @ ..] => after,
                [b'\\' | 0..=0x1f, ..] | [] => return Err(JsonError),
                [_, after @ ..] => after,
            }
        }
    }

    fn number(&mut self) -> Result<Value<'a>> {
        let start = self.rest;
        self.rest = self.rest.strip_prefix(b"-").unwrap_or(self.rest);
        match self.rest {
            [b'0', rest @ ..] => self.rest = rest,
            _ => self.digits()?,
        }
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        let written = start.get(..start.len() - self.rest.len()).ok_or(JsonError)?;
        std::str::from_utf8(written).map(Value::Number).map_err(|_| JsonError)
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<()> {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.rest = self.rest.get(count..).unwrap_or_default();
        if count == 0 { Err(JsonError) } else { Ok(()) }
    }
}

/// Appends `text` as a JSON string. Like NSQ's encoder it also escapes what could end a script element in a
/// browser: `<`, `>`, `&` and the two Unicode line ends.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends what stands between the quotes of [`push_string`].
pub fn push_escaped(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
