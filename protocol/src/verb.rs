//! The names of the commands.

use std::fmt;

/// The name of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the command of the same name")]
pub enum Verb {
    Identify,
    Auth,
    Sub,
    Rdy,
    Fin,
    Req,
    Touch,
    Cls,
    Nop,
    Pub,
    Mpub,
    Dpub,
}

impl Verb {
    /// The command whose name is `word`, exactly and in upper case.
    pub fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"PUB" => Self::Pub,
            b"FIN" => Self::Fin,
            b"RDY" => Self::Rdy,
            b"MPUB" => Self::Mpub,
            b"REQ" => Self::Req,
            b"NOP" => Self::Nop,
            b"TOUCH" => Self::Touch,
            b"DPUB" => Self::Dpub,
            b"SUB" => Self::Sub,
            b"CLS" => Self::Cls,
            b"IDENTIFY" => Self::Identify,
            b"AUTH" => Self::Auth,
            _ => return None,
        })
    }

    /// As it is sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "IDENTIFY",
            Self::Auth => "AUTH",
            Self::Sub => "SUB",
            Self::Rdy => "RDY",
            Self::Fin => "FIN",
            Self::Req => "REQ",
            Self::Touch => "TOUCH",
            Self::Cls => "CLS",
            Self::Nop => "NOP",
            Self::Pub => "PUB",
            Self::Mpub => "MPUB",
            Self::Dpub => "DPUB",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_parsed_from_its_own_name_only() {
        for verb in [
            Verb::Identify,
            Verb::Auth,
            Verb::Sub,
            Verb::Rdy,
            Verb::Fin,
            Verb::Req,
            Verb::Touch,
            Verb::Cls,
            Verb::Nop,
            Verb::Pub,
            Verb::Mpub,
            Verb::Dpub,
        ] {
            assert_eq!(Verb::parse(verb.as_str().as_bytes()), Some(verb));
            assert_eq!(Verb::parse(verb.as_str().to_lowercase().as_bytes()), None);
        }
    }
}
