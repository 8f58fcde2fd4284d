//! `/config/<option>`: reads any option, changes two.

use nsq_flags::log::{self, Level};
use nsq_flags::{Rendered, info, json_strings};

use super::HttpContext;
use super::body::{BodyError, RequestBody};
use nsq_http::reply::{self, ApiError, Reply};

const LOOKUPD: &str = "nsqlookupd_tcp_addresses";
const LOG_LEVEL: &str = "log_level";

const INVALID_OPTION: ApiError = ApiError::bad_request("INVALID_OPTION");
const INVALID_VALUE: ApiError = ApiError::bad_request("INVALID_VALUE");
const BAD_SIZE: ApiError = ApiError::too_large("INVALID_VALUE");

/// The present value of an option, by its key in the file.
pub(super) fn get(context: &HttpContext, option: &str) -> Result<Reply, ApiError> {
    if option == LOOKUPD && context.process.lookupd_generation() > 0 {
        let (_, addresses) = context.process.lookupd_addresses();
        let is_null = context.process.lookupd_is_null();
        return Ok(reply::json(if is_null { "null".to_owned() } else { json_strings(&addresses) }));
    }
    match context.process.config.render(option) {
        None => Err(INVALID_OPTION),
        Some(Rendered::Text(text)) if text.is_empty() => Ok(reply::empty()),
        Some(Rendered::Text(text)) => Ok(reply::text(text)),
        Some(Rendered::Json(json)) => Ok(reply::json(json)),
    }
}

/// Changes an option for the life of the process, and answers with its new value.
pub(super) async fn put(
    context: &HttpContext,
    option: &str,
    body: &mut RequestBody,
) -> Result<Reply, ApiError> {
    let size_max = usize::try_from(context.process.config.limits.message_size_max).unwrap_or(0);
    let value = body.collect(size_max).await.map_err(|error| match error {
        BodyError::TooBig => BAD_SIZE,
        BodyError::Broken => ApiError::INTERNAL,
    })?;
    if value.is_empty() {
        return Err(BAD_SIZE);
    }
    match option {
        LOOKUPD => {
            match addresses(&value).ok_or(INVALID_VALUE)? {
                Some(addresses) => context.process.set_lookupd_addresses(addresses),
                None => context.process.set_lookupd_null(),
            }
            context.core.lookupd_changed();
            info!("HTTP: {LOOKUPD} is now {:?}", context.process.lookupd_addresses().1);
        }
        LOG_LEVEL => {
            let level = level(&value).ok_or(INVALID_VALUE)?;
            log::set_level(level);
            info!("HTTP: {LOG_LEVEL} is now {}", level.label());
        }
        _ => return Err(INVALID_OPTION),
    }
    get(context, option)
}

/// A JSON array of texts, or `null`; `None` for anything else.
fn addresses(value: &[u8]) -> Option<Option<Vec<String>>> {
    serde_json::from_slice(value).ok()
}

/// Exactly one of the level words, in any case.
fn level(value: &[u8]) -> Option<Level> {
    Level::from_word(std::str::from_utf8(value).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_an_array_of_texts_or_null() {
        assert_eq!(addresses(b"[ \"a:1\", \"b:2\" ]\n").unwrap().unwrap(), ["a:1", "b:2"]);
        assert_eq!(addresses(b"[]").unwrap(), Some(Vec::new()));
        assert_eq!(addresses(b"null").unwrap(), None);
        for bad in ["a:1", "\"a:1\"", "[1]", "{\"a\":\"b\"}", "[", "[\"a\"]x", "true", "[[\"a\"]]", "\n"] {
            assert_eq!(addresses(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_level_is_exactly_its_word() {
        assert_eq!(level(b"Warn"), Some(Level::Warn));
        for bad in [&b"info\n"[..], b" info", b"\"info\"", b"warning", b"1", b"\x00", b"\xff"] {
            assert_eq!(level(bad), None, "{bad:?}");
        }
    }
}
