//! Networks: `10.0.0.0/8`, `::1/128`.

use std::fmt;
use std::net::IpAddr;

/// A network of IPv4 or IPv6 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCidr(String);

impl fmt::Display for BadCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid CIDR address: {} (write it as 10.0.0.0/8 or ::1/128)", self.0)
    }
}

impl std::error::Error for BadCidr {}

impl Cidr {
    /// Reads `address/bits`.
    ///
    /// # Errors
    ///
    /// With the text, where it is anything else.
    pub fn parse(text: &str) -> Result<Self, BadCidr> {
        Self::read(text).ok_or_else(|| BadCidr(text.to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits: u8 = bits.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { address, bits })
    }

    /// Whether the address is in the network. One of the other family never is; an IPv4 address in IPv6's clothes
    /// counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) if self.address.is_ipv4() => {
                same_prefix(u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32, self.bits)
            }
            (_, theirs) => match (self.address, theirs) {
                (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                    same_prefix(ours.to_bits(), theirs.to_bits(), 128, self.bits)
                }
                _ => false,
            },
        }
    }
}

fn same_prefix(ours: u128, theirs: u128, width: u8, bits: u8) -> bool {
    let rest = u32::from(width - bits);
    // A shift by the whole width would be refused; then there is nothing to compare.
    ours.checked_shr(rest).unwrap_or(0) == theirs.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Cidr::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn the_mask_counts() {
        assert!(contains("127.0.0.1/8", "127.9.8.7"));
        assert!(!contains("127.0.0.1/8", "128.0.0.1"));
        assert!(contains("127.0.0.2/32", "127.0.0.2"));
        assert!(!contains("127.0.0.2/32", "127.0.0.3"));
        assert!(contains("0.0.0.0/0", "8.8.8.8"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::"));
    }

    #[test]
    fn the_families_are_apart_but_for_mapped_addresses() {
        assert!(!contains("127.0.0.0/8", "::1"));
        assert!(!contains("::/0", "127.0.0.1"));
        assert!(contains("127.0.0.0/8", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "10.0.0.1", "nonsense", "10.0.0.0/99", "10.0.0.0/-1", "10.0.0.0/+8", "::/129", "1.2.3/8"]
        {
            assert!(Cidr::parse(text).is_err(), "{text}");
        }
    }
}
