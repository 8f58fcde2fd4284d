//! What several upstreams said when not all of them answered.

use std::fmt;

/// A value from those upstreams that answered, and what the others failed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial<T> {
    /// From those that answered. Where somebody failed its figures are lower than the truth.
    pub value: T,
    /// One text per phase in which somebody failed, ready for a reader: the lines within are one per upstream.
    pub warnings: Vec<String>,
}

/// Nobody answered, so there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFailure {
    /// In NSQ's words, one line per upstream: `failed to query any nsqd: …`.
    pub text: String,
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for UpstreamFailure {}

impl<T> Partial<T> {
    /// Everybody answered.
    pub fn whole(value: T) -> Self {
        Self { value, warnings: Vec::new() }
    }

    /// Judges one phase: `answers` of the upstreams, `what` they are (`nsqd` or `nsqlookupd`). Without a single
    /// answer the phase has failed, and so it has when there was nobody to ask.
    ///
    /// # Errors
    ///
    /// The texts of all upstreams where none answered.
    pub fn of_phase<A>(
        what: &str,
        answers: impl IntoIterator<Item = Result<A, String>>,
        mut fold: impl FnMut(&mut T, A),
    ) -> Result<Self, UpstreamFailure>
    where
        T: Default,
    {
        let mut value = T::default();
        let (mut answered, mut errors) = (0_usize, Vec::new());
        for answer in answers {
            match answer {
                Ok(answer) => {
                    answered += 1;
                    fold(&mut value, answer);
                }
                Err(error) => errors.push(error),
            }
        }
        if answered == 0 {
            return Err(UpstreamFailure {
                text: format!("failed to query any {what}: {}", errors.join("\n")),
            });
        }
        let warnings = if errors.is_empty() { Vec::new() } else { vec![errors.join("\n")] };
        Ok(Self { value, warnings })
    }

    /// Takes the value out, and leaves the warnings for the answer.
    pub fn take(self, warnings: &mut Vec<String>) -> T {
        warnings.extend(self.warnings);
        self.value
    }
}

/// The `message` of an answer: empty where everybody answered.
pub fn message(warnings: &[String]) -> String {
    if warnings.is_empty() { String::new() } else { format!("WARNING: {}", warnings.join("; ")) }
}
