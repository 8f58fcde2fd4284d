//! Why an upstream's answer is none.

use std::fmt;

use axum::http::StatusCode;

/// What happened. The text is what readers of NSQ's `message` see.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// An answer that is not 200.
    Status {
        /// The status.
        code: u16,
        /// The beginning of its body.
        body: String,
    },
    /// Not reached, reset, timed out, or not trusted.
    Transport {
        /// What was asked.
        url: String,
        /// Why, down to the operating system's words.
        text: String,
        /// Whether time ran out.
        timed_out: bool,
    },
    /// An answer that is not what it should be.
    Body {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        text: String,
    },
    /// An answer beyond the bound.
    TooLarge {
        /// What was asked.
        url: String,
        /// The bound, in bytes.
        bytes_max: usize,
    },
}

impl Fault {
    /// A word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status { .. } => "refused",
            Self::Transport { timed_out: true, .. } => "timed_out",
            Self::Transport { .. } => "unreachable",
            Self::Body { .. } => "unreadable",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// For a place where the address of the upstream is already said.
    pub fn short(&self) -> String {
        match self {
            Self::Status { code, .. } => format!("answered {code} {}", reason(*code)),
            Self::Transport { timed_out: true, text, .. } if text.contains("connect") => {
                "connect timed out".into()
            }
            Self::Transport { timed_out: true, .. } => "did not answer in time".into(),
            Self::Transport { text, .. } => text.clone(),
            Self::Body { text, .. } => format!("unreadable answer: {text}"),
            Self::TooLarge { bytes_max, .. } => format!("answer larger than {} MiB", bytes_max >> 20),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, body } => {
                write!(f, "got response {code} {} {}", reason(*code), quote(body))
            }
            Self::Transport { url, text, .. } | Self::Body { url, text } => write!(f, "{url}: {text}"),
            Self::TooLarge { url, bytes_max } => {
                write!(f, "{url}: the answer is larger than {bytes_max} bytes")
            }
        }
    }
}

impl std::error::Error for Fault {}

fn reason(code: u16) -> &'static str {
    StatusCode::from_u16(code).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// In quotes, as Go's `%q` has it.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_as_nsq_tells_it() {
        let fault = Fault::Status { code: 404, body: "line one\nline \"two\"".into() };
        assert_eq!(fault.to_string(), r#"got response 404 Not Found "line one\nline \"two\"""#);
    }
}
