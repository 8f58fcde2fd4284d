//! Who registers: what an nsqd announced about itself, and what the registry keeps of it.

use nsq_protocol::json::push_string;

use super::ids::IdSet;

/// What an nsqd says about itself by IDENTIFY. It is payload: never resolved, never checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// Host that consumers dial.
    pub broadcast_address: String,
    /// Name of the machine, perhaps empty.
    pub hostname: String,
    /// nsqd's TCP port; NSQ takes any integer but 0.
    pub tcp_port: i64,
    /// nsqd's HTTP port; any integer but 0.
    pub http_port: i64,
    /// nsqd's version.
    pub version: String,
    /// Zone of the machine, perhaps empty.
    pub topology_zone: String,
    /// Region of the machine, perhaps empty.
    pub topology_region: String,
}

impl Announcement {
    /// Whether `node` names it: `broadcast_address:http_port`, where an IPv6 address may be in brackets (the
    /// admin UI sends them so) or not (as NSQ expects them).
    pub(super) fn is_node(&self, node: &str) -> bool {
        let Some((host, port)) = node.rsplit_once(':') else { return false };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        (host == self.broadcast_address || bare == Some(&*self.broadcast_address))
            && port == self.http_port.to_string()
    }

    /// Whether both are the same nsqd, as far as those who dial it can tell.
    pub(super) fn is_same_node(&self, other: &Self) -> bool {
        self.broadcast_address == other.broadcast_address
            && self.tcp_port == other.tcp_port
            && self.http_port == other.http_port
    }
}

/// Where a registrant comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is connected.
    Connected {
        /// The remembered registrant that this one replaces, as long as it has not announced everything again.
        twin: Option<u32>,
    },
    /// It was connected when the registry was saved, and has not been heard of since.
    Remembered {
        /// It is connected again, under another id.
        replaced: bool,
    },
}

/// One connected (or remembered) nsqd.
#[derive(Debug)]
pub(super) struct Registrant {
    /// `ip:port` of its connection, and by that its identity.
    pub(super) remote_address: Box<str>,
    pub(super) announced: Box<Announcement>,
    /// Unix time of IDENTIFY or the last PING.
    pub(super) last_seen_ns: i64,
    pub(super) topics: IdSet,
    pub(super) origin: Origin,
    /// Never given out again, unlike its id.
    pub(super) serial: u64,
    /// Its members in `/lookup` and `/nodes`, opening brace included, closing one not. They never change, and
    /// rendering an answer is copying these.
    pub(super) members: Box<str>,
}

impl Registrant {
    pub(super) fn new(
        mut announced: Announcement,
        remote_address: &str,
        now_ns: i64,
        origin: Origin,
        serial: u64,
    ) -> Self {
        for text in [
            &mut announced.broadcast_address,
            &mut announced.hostname,
            &mut announced.version,
            &mut announced.topology_zone,
            &mut announced.topology_region,
        ] {
            text.shrink_to_fit();
        }
        Self {
            remote_address: remote_address.into(),
            members: render_members(&announced, remote_address),
            announced: Box::new(announced),
            last_seen_ns: now_ns,
            topics: IdSet::default(),
            origin,
            serial,
        }
    }

    /// The address of its connection, without the port.
    pub(super) fn address(&self) -> &str {
        self.remote_address.rsplit_once(':').map_or(&self.remote_address, |(host, _)| host)
    }

    /// Whether it was heard of within the last `timeout_ns`. A negative time-out hides everybody, as in NSQ.
    pub(super) fn is_active(&self, now_ns: i64, timeout_ns: i64) -> bool {
        now_ns.saturating_sub(self.last_seen_ns) <= timeout_ns
    }

    pub(super) fn is_replaced(&self) -> bool {
        self.origin == Origin::Remembered { replaced: true }
    }

    pub(super) fn is_remembered(&self) -> bool {
        matches!(self.origin, Origin::Remembered { .. })
    }
}

fn render_members(announced: &Announcement, remote_address: &str) -> Box<str> {
    let mut json = String::with_capacity(256);
    let text = |json: &mut String, key: &str, value: &str| {
        json.push_str(key);
        push_string(json, value);
    };
    text(&mut json, "{\"remote_address\":", remote_address);
    text(&mut json, ",\"hostname\":", &announced.hostname);
    text(&mut json, ",\"broadcast_address\":", &announced.broadcast_address);
    json.push_str(&format!(",\"tcp_port\":{},\"http_port\":{}", announced.tcp_port, announced.http_port));
    text(&mut json, ",\"version\":", &announced.version);
    text(&mut json, ",\"topology_zone\":", &announced.topology_zone);
    text(&mut json, ",\"topology_region\":", &announced.topology_region);
    json.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, http_port: i64) -> Announcement {
        Announcement { broadcast_address: host.into(), http_port, ..Announcement::default() }
    }

    #[test]
    fn a_node_is_its_address_and_http_port_exactly() {
        assert!(at("h1", 4151).is_node("h1:4151"));
        for other in ["h1:4150", "h1", "4151", "H1:4151", "h1:41510", "h1:4151 ", "h1:04151", "", ":"] {
            assert!(!at("h1", 4151).is_node(other), "{other}");
        }
        assert!(at("", 7).is_node(":7"));
    }

    #[test]
    fn an_ipv6_node_is_known_with_and_without_brackets() {
        assert!(at("fd00::1", 4151).is_node("fd00::1:4151"));
        assert!(at("fd00::1", 4151).is_node("[fd00::1]:4151"));
        assert!(!at("fd00::1", 4151).is_node("[fd00::1:4151"));
    }
}
