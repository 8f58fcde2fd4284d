//! nsqds that speak TLS only.

use reqwest::Url;
use serde::Deserialize;

/// Where to ask again: such an nsqd answers 403 in the clear, and says its HTTPS port. `None` if the answer is
/// anything else.
pub(super) fn https_url(asked: &Url, status: u16, body: &[u8]) -> Option<Url> {
    #[derive(Deserialize)]
    struct Refusal {
        https_port: u16,
    }
    if status != 403 || asked.scheme() == "https" {
        return None;
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let mut url = asked.clone();
    url.set_scheme("https").ok()?;
    url.set_port(Some(refusal.https_port)).ok()?;
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(url: &str, status: u16, body: &str) -> Option<String> {
        https_url(&Url::parse(url).unwrap(), status, body.as_bytes()).map(String::from)
    }

    #[test]
    fn the_same_question_goes_to_the_https_port_of_the_same_host() {
        let body = r#"{"message":"TLS_REQUIRED","https_port":4152}"#;
        assert_eq!(
            retry("http://[::1]:4151/stats?topic=a%23b", 403, body).as_deref(),
            Some("https://[::1]:4152/stats?topic=a%23b")
        );
        assert_eq!(retry("https://h:4151/stats", 403, body), None);
        assert_eq!(retry("http://h:4151/stats", 404, body), None);
        for body in ["", "{}", r#"{"https_port":"4152"}"#, r#"{"https_port":70000}"#] {
            assert_eq!(retry("http://h:4151/stats", 403, body), None, "{body}");
        }
    }
}
