//! Errors of the operating system in the words that operators know.

use std::io;

/// The operating system's sentence without Rust's `(os error N)`, in lower case as C and Go programs print it.
pub fn errno_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_that_of_other_programs() {
        assert_eq!(errno_text(&io::Error::from_raw_os_error(104)), "connection reset by peer");
        assert_eq!(errno_text(&io::Error::other("Its own words")), "its own words");
        assert_eq!(errno_text(&io::Error::other("")), "");
    }
}
