//! Headers that keep a page from doing what it should not.

use axum::http::HeaderMap;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// No inline script or style, nothing from elsewhere, and no page may frame this one. `graphite`, if the browser is to
/// ask it itself, is an origin.
pub fn content_security_policy(graphite: Option<&str>) -> HeaderValue {
    let graphite = graphite.map(|origin| format!(" {origin}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{graphite}; \
         connect-src 'self'{graphite}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types nsqadmin"
    );
    // An origin is parsed from a URL and therefore fit for a header.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// For a page. `Referrer-Policy` must not be `no-referrer`: that turns a form's `Origin` into `null`, and the check
/// of origins would refuse our own forms.
pub fn of_page(headers: &mut HeaderMap, policy: &HeaderValue) {
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    of_anything(headers);
}

/// For what somebody else made and we pass on: it may be shown, and nothing else.
pub fn of_relayed(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    of_anything(headers);
}

/// For everything.
pub fn of_anything(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
