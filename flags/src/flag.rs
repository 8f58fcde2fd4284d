//! One option, declared once.

use std::borrow::Cow;

/// A word of an enumeration and the number that stands for it in [`crate::Parsed::get_int`] and in `/config`.
pub type Word = (&'static str, i64);

/// The type of an option: how its text is read, and how its value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Str,
    /// Go's booleans: `1 t T TRUE true True` and their opposites. On the command line the value needs `=`.
    Bool,
    /// A signed 64-bit integer; on the command line also in bases 2, 8 and 16.
    Int,
    /// A count of bytes: a non-negative integer, or one with `KiB`, `MiB` or `GiB` behind it.
    Bytes,
    /// A span of time in Go's syntax, kept in nanoseconds. In the file an integer counts milliseconds.
    Duration,
    /// Texts: a flag to be repeated, an array in the file or one text with commas.
    List,
    /// Numbers: a flag to be repeated or with commas, sorted descending; in the file kept in its order.
    Floats,
    /// One of the words, in any case. `what` names them in the error.
    Enum {
        /// What the words are, as in "invalid log level".
        what: &'static str,
        /// All words; the first that carries a number is the one shown for it.
        words: &'static [Word],
    },
    /// One of the words, in any case; the value is the word itself, as a text.
    Choice {
        /// What the words are, as in "invalid durability".
        what: &'static str,
        /// All words, in lower case.
        words: &'static [&'static str],
    },
    /// A boolean with further words: bare on the command line it means true. The words must hold `true` and `false`.
    BoolOr {
        /// All words, `true` and `false` among them.
        words: &'static [Word],
    },
}

impl Kind {
    /// Whether the flag stands for itself and never takes the next argument.
    pub(crate) fn is_bool_flag(self) -> bool {
        matches!(self, Kind::Bool | Kind::BoolOr { .. })
    }
}

/// The key of an option in the configuration file, and in `/config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The flag's name with `_` for `-`.
    FromName,
    /// A key of its own.
    Named(&'static str),
    /// Not an option of the file.
    None,
}

/// Whether what the option asks for exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// The option does what its help says.
    Available,
    /// The feature is missing. Setting the option to anything but its default ends the start with this sentence:
    /// an operator who asks for TLS must not get a broker without.
    NotYet(&'static str),
    /// The option is understood, so that files and scripts of NSQ work, and changes nothing, for the reason that the
    /// sentence gives. Who sets it is told so at start.
    NoEffect(&'static str),
}

/// One option of a daemon.
#[derive(Debug, Clone)]
pub struct Flag {
    /// Name on the command line, without dashes.
    pub name: &'static str,
    /// Key in the file.
    pub key: Key,
    /// Type.
    pub kind: Kind,
    /// Default, spelled as on the command line. For lists and numbers empty means none.
    pub default: Cow<'static, str>,
    /// One line: what it does, and what follows from it.
    pub help: &'static str,
    /// Whether the feature is there.
    pub availability: Availability,
}

impl Flag {
    /// An option of any type, with the key made from its name.
    pub fn new(
        name: &'static str,
        kind: Kind,
        default: impl Into<Cow<'static, str>>,
        help: &'static str,
    ) -> Flag {
        Flag {
            name,
            key: Key::FromName,
            kind,
            default: default.into(),
            help,
            availability: Availability::Available,
        }
    }

    /// A text option.
    pub fn str(name: &'static str, default: impl Into<Cow<'static, str>>, help: &'static str) -> Flag {
        Flag::new(name, Kind::Str, default, help)
    }

    /// A boolean option; `default` is `true` or `false`.
    pub fn bool(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Bool, default, help)
    }

    /// An integer option.
    pub fn int(name: &'static str, default: impl Into<Cow<'static, str>>, help: &'static str) -> Flag {
        Flag::new(name, Kind::Int, default, help)
    }

    /// A duration option.
    pub fn duration(name: &'static str, default: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::Duration, default, help)
    }

    /// A list of texts, empty by default.
    pub fn list(name: &'static str, help: &'static str) -> Flag {
        Flag::new(name, Kind::List, "", help)
    }

    /// Gives the option a key of its own in the file.
    pub fn with_key(mut self, key: &'static str) -> Flag {
        self.key = Key::Named(key);
        self
    }

    /// Keeps the option out of the file and out of `/config`.
    pub fn not_in_file(mut self) -> Flag {
        self.key = Key::None;
        self
    }

    /// Marks the feature as missing, with the sentence that says so.
    pub fn not_yet(mut self, sentence: &'static str) -> Flag {
        self.availability = Availability::NotYet(sentence);
        self
    }

    /// Marks an option that changes nothing, with the sentence that says why.
    pub fn no_effect(mut self, sentence: &'static str) -> Flag {
        self.availability = Availability::NoEffect(sentence);
        self
    }

    /// The key in the file, if there is one.
    pub fn file_key(&self) -> Option<Cow<'static, str>> {
        match self.key {
            Key::FromName if self.name.contains('-') => Some(Cow::Owned(self.name.replace('-', "_"))),
            Key::FromName => Some(Cow::Borrowed(self.name)),
            Key::Named(key) => Some(Cow::Borrowed(key)),
            Key::None => None,
        }
    }
}
