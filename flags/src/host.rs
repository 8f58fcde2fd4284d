//! The name of this machine, and the node id that NSQ derives from it.

/// The operating system's host name. What is not UTF-8 in it is replaced.
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// NSQ's default for `--node-id`: CRC-32 of the MD5 of the host name, modulo 1024. MD5 hides nothing here; it is
/// what makes the id the same as that of the nsqd that ran on this machine before.
pub fn default_node_id(hostname: &str) -> i64 {
    i64::from(crc32fast::hash(&md5::compute(hostname).0) % 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_id_of_a_host_name_never_changes() {
        assert_eq!(default_node_id("localhost"), LOCALHOST);
        assert_eq!(default_node_id("nsqd-1.example"), EXAMPLE);
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(!hostname().is_empty());
    }

    const LOCALHOST: i64 = 16;
    const EXAMPLE: i64 = 325;
}
