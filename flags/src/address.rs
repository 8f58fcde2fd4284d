//! Addresses as operators write them: `host:port`, `:port`, `[::1]:port`, or the path of a Unix socket.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use rustix::io::Errno;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A host, empty for all interfaces, and a port, 0 for one that the kernel chooses.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(String),
}

/// Why a text is no address. The texts are those of Go's net package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// Not of the form `host:port`.
    Form {
        /// The whole text.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The port is a number beyond 65535.
    InvalidPort(String),
    /// The port is no number.
    UnknownPort(String),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Form { address, reason } => write!(f, "address {address}: {reason}"),
            AddressError::InvalidPort(port) => write!(f, "address {port}: invalid port"),
            AddressError::UnknownPort(port) => write!(f, "lookup tcp/{port}: unknown port"),
        }
    }
}

impl std::error::Error for AddressError {}

/// Splits `host:port`, `[host]:port` or `[host%zone]:port`. The host comes without brackets; both may be empty.
///
/// # Errors
/// [`AddressError::Form`] with Go's reason.
pub fn split_host_port(address: &str) -> Result<(&str, &str), AddressError> {
    let fail = |reason| Err(AddressError::Form { address: address.to_owned(), reason });
    let Some(colon) = address.rfind(':') else { return fail("missing port in address") };
    let host = match address.strip_prefix('[') {
        Some(bracketed) => {
            let Some((host, behind)) = bracketed.split_once(']') else {
                return fail("missing ']' in address");
            };
            match behind.strip_prefix(':') {
                Some(port) if port.contains(':') => return fail("too many colons in address"),
                Some(_) => {}
                None => return fail("missing port in address"),
            }
            if bracketed.contains('[') {
                return fail("unexpected '[' in address");
            }
            if behind.contains(']') {
                return fail("unexpected ']' in address");
            }
            host
        }
        None => {
            let host = &address[..colon];
            if host.contains(':') {
                return fail("too many colons in address");
            }
            if address.contains('[') {
                return fail("unexpected '[' in address");
            }
            if address.contains(']') {
                return fail("unexpected ']' in address");
            }
            host
        }
    };
    Ok((host, &address[colon + 1..]))
}

/// Reads a port: decimal, empty for 0. Names of services are not looked up.
///
/// # Errors
/// [`AddressError::InvalidPort`] or [`AddressError::UnknownPort`].
pub fn parse_port(port: &str) -> Result<u16, AddressError> {
    if port.is_empty() {
        return Ok(0);
    }
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::UnknownPort(port.to_owned()));
    }
    port.parse().map_err(|_| AddressError::InvalidPort(port.to_owned()))
}

impl Endpoint {
    /// Reads a TCP address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn tcp(address: &str) -> Result<Endpoint, AddressError> {
        let (host, port) = split_host_port(address)?;
        Ok(Endpoint::Tcp { host: host.to_owned(), port: parse_port(port)? })
    }

    /// Reads a TCP address if it has the form of one; anything else is the path of a Unix socket.
    ///
    /// # Errors
    /// A `host:port` whose port is none.
    pub fn tcp_or_unix(address: &str) -> Result<Endpoint, AddressError> {
        match split_host_port(address) {
            Ok(_) => Endpoint::tcp(address),
            Err(_) => Ok(Endpoint::Unix(address.to_owned())),
        }
    }
}

/// The socket addresses behind a host and a port, those of IPv4 first. An empty host is `[::]`, which takes IPv4
/// as well unless the kernel lacks IPv6. Asks the system's resolver for names, so it may block for seconds.
///
/// # Errors
/// What the resolver says; never an empty list.
pub fn socket_addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.is_empty() {
        return Ok(vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))]);
    }
    let mut addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    addresses.sort_by_key(|address| !address.is_ipv4());
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("lookup {host}: no such host")));
    }
    Ok(addresses)
}

/// Listens at a host and a port by `bind`, as Go does: at the first address of a name; and at a wildcard address of
/// either family for both of them, unless the kernel lacks IPv6. `bind` is to let a socket at `[::]` take IPv4 too.
///
/// # Errors
/// What the resolver or `bind` says.
pub fn listen_at<L>(
    host: &str,
    port: u16,
    mut bind: impl FnMut(SocketAddr) -> io::Result<L>,
) -> io::Result<L> {
    let first = socket_addresses(host, port)?.into_iter().next();
    match first.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))? {
        first if !first.ip().is_unspecified() => bind(first),
        _ => match bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
            Err(error) if lacks_ipv6(&error) => bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
            result => result,
        },
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL))
}

/// Joins host and port; a host with a colon in it gets brackets.
pub fn join_host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_as_go_splits_them() {
        let cases: &[(&str, (&str, &str))] = &[
            ("127.0.0.1:4150", ("127.0.0.1", "4150")),
            (":4150", ("", "4150")),
            ("localhost:", ("localhost", "")),
            (":", ("", "")),
            ("[::1]:4150", ("::1", "4150")),
            ("[fe80::1%lo]:1", ("fe80::1%lo", "1")),
            ("[]:1", ("", "1")),
            ("host:http", ("host", "http")),
            ("/a/b:c", ("/a/b", "c")),
        ];
        for (address, parts) in cases {
            assert_eq!(split_host_port(address).as_ref(), Ok(parts), "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_in_gos_words() {
        let cases: &[(&str, &str)] = &[
            ("", "address : missing port in address"),
            ("nonsense", "address nonsense: missing port in address"),
            ("[::1]", "address [::1]: missing port in address"),
            ("[::1]x:1", "address [::1]x:1: missing port in address"),
            ("[::1", "address [::1: missing ']' in address"),
            ("::1", "address ::1: too many colons in address"),
            ("a:b:1", "address a:b:1: too many colons in address"),
            ("[::1]:1:2", "address [::1]:1:2: too many colons in address"),
            ("a[b:1", "address a[b:1: unexpected '[' in address"),
            ("a]b:1", "address a]b:1: unexpected ']' in address"),
            ("[a[b]:1", "address [a[b]:1: unexpected '[' in address"),
        ];
        for (address, text) in cases {
            assert_eq!(split_host_port(address).unwrap_err().to_string(), *text);
        }
    }

    #[test]
    fn ports_are_numbers_below_65536() {
        assert_eq!(parse_port("4150"), Ok(4150));
        assert_eq!(parse_port(""), Ok(0));
        assert_eq!(parse_port("99999").unwrap_err().to_string(), "address 99999: invalid port");
        for port in ["notaport", "-1", "+1", "1 "] {
            assert_eq!(parse_port(port), Err(AddressError::UnknownPort(port.into())));
        }
    }

    #[test]
    fn what_has_no_port_is_a_path() {
        assert_eq!(Endpoint::tcp_or_unix("/run/nsqd.sock"), Ok(Endpoint::Unix("/run/nsqd.sock".into())));
        assert_eq!(Endpoint::tcp_or_unix(":4150"), Ok(Endpoint::Tcp { host: String::new(), port: 4150 }));
        assert!(Endpoint::tcp_or_unix("nonsense:port").is_err());
        assert!(Endpoint::tcp("nonsense").is_err());
    }

    #[test]
    fn hosts_are_joined_with_brackets_where_needed() {
        assert_eq!(join_host_port("h", 1), "h:1");
        assert_eq!(join_host_port("::1", 1), "[::1]:1");
    }

    #[test]
    fn an_empty_host_is_every_interface() {
        assert_eq!(socket_addresses("", 7).unwrap(), ["[::]:7".parse().unwrap()]);
        assert_eq!(socket_addresses("127.0.0.1", 7).unwrap(), ["127.0.0.1:7".parse().unwrap()]);
        assert_eq!(socket_addresses("::1", 7).unwrap(), ["[::1]:7".parse().unwrap()]);
    }

    /// Which addresses are tried for `host`, where the first try ends with `errno`.
    fn tried(host: &str, errno: Option<Errno>) -> (Vec<String>, bool) {
        let mut tried = Vec::new();
        let result = listen_at(host, 7, |address| {
            tried.push(address.to_string());
            match errno {
                Some(errno) if tried.len() == 1 => Err(io::Error::from(errno)),
                _ => Ok(()),
            }
        });
        (tried, result.is_ok())
    }

    #[test]
    fn a_wildcard_of_either_family_listens_for_both() {
        for host in ["", "0.0.0.0", "::"] {
            assert_eq!(tried(host, None), (vec!["[::]:7".to_owned()], true), "{host:?}");
        }
        assert_eq!(tried("127.0.0.1", None), (vec!["127.0.0.1:7".to_owned()], true));
        assert_eq!(tried("::1", None), (vec!["[::1]:7".to_owned()], true));
    }

    #[test]
    fn without_ipv6_a_wildcard_listens_for_ipv4() {
        for errno in [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL] {
            assert_eq!(
                tried("0.0.0.0", Some(errno)),
                (vec!["[::]:7".to_owned(), "0.0.0.0:7".to_owned()], true)
            );
        }
        // Somebody else has the port: that is not to be answered by half a listener.
        assert_eq!(tried("0.0.0.0", Some(Errno::ADDRINUSE)), (vec!["[::]:7".to_owned()], false));
        assert_eq!(tried("127.0.0.1", Some(Errno::ADDRNOTAVAIL)), (vec!["127.0.0.1:7".to_owned()], false));
    }
}
