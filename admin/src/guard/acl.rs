//! Who may change things.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};

use super::cidr::Cidr;

/// The rules: NSQ's header and list of users, and ours on top.
#[derive(Clone, Debug)]
pub struct Acl {
    /// The header that a proxy in front sets to the name of the user.
    pub header: HeaderName,
    /// Whoever has one of these names may; empty: everybody may.
    pub admin_users: Vec<String>,
    /// If not empty, the header of peers outside of these networks is not looked at.
    pub trusted: Vec<Cidr>,
    /// Nobody may.
    pub read_only: bool,
}

impl Acl {
    /// The name that the proxy gives the user. Empty names are none: a proxy that sends an empty header for
    /// strangers must not let them in where an empty text got into the list of users.
    pub fn user(&self, headers: &HeaderMap, peer: IpAddr) -> Option<String> {
        if !self.trusted.is_empty() && !self.trusted.iter().any(|network| network.contains(peer)) {
            return None;
        }
        let name = headers.get(&self.header)?.as_bytes();
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
    }

    /// Whether a user of this name may change things.
    pub fn is_admin(&self, user: Option<&str>) -> bool {
        if self.read_only {
            return false;
        }
        self.admin_users.is_empty()
            || user.is_some_and(|user| self.admin_users.iter().any(|admin| admin == user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(users: &[&str]) -> Acl {
        Acl {
            header: HeaderName::from_static("x-forwarded-user"),
            admin_users: users.iter().map(|&user| user.to_owned()).collect(),
            trusted: Vec::new(),
            read_only: false,
        }
    }

    fn may(acl: &Acl, header: Option<&str>, peer: &str) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert("x-forwarded-user", header.parse().unwrap());
        }
        acl.is_admin(acl.user(&headers, peer.parse().unwrap()).as_deref())
    }

    #[test]
    fn without_admin_users_everybody_may() {
        assert!(may(&acl(&[]), None, "10.0.0.1"));
        assert!(may(&acl(&[]), Some("x"), "10.0.0.1"));
    }

    #[test]
    fn only_the_exact_name_may() {
        let acl = acl(&["Root", "me@example.org"]);
        for (header, may_change) in [
            (Some("Root"), true),
            (Some("me@example.org"), true),
            (Some("root"), false),
            (Some("Root2"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(may(&acl, header, "10.0.0.1"), may_change, "{header:?}");
        }
    }

    #[test]
    fn an_empty_admin_user_lets_nobody_in() {
        assert!(!may(&acl(&[""]), None, "10.0.0.1"));
        assert!(!may(&acl(&[""]), Some(""), "10.0.0.1"));
    }

    #[test]
    fn the_header_of_strangers_is_not_looked_at() {
        let mut acl = acl(&["Root"]);
        acl.trusted = vec![Cidr::parse("10.0.0.0/8").unwrap()];
        assert!(may(&acl, Some("Root"), "10.1.2.3"));
        assert!(!may(&acl, Some("Root"), "192.0.2.1"));
    }

    #[test]
    fn read_only_is_for_everybody() {
        let mut acl = acl(&[]);
        acl.read_only = true;
        assert!(!may(&acl, None, "10.0.0.1"));
    }
}
