//! What a process has used, as `/proc` tells it.

use std::fs;

use crate::error::BenchError;

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Everything resident.
    pub(crate) resident_bytes: u64,
    /// The part that is its own: neither files nor shared memory.
    pub(crate) anonymous_bytes: u64,
    /// The most that was ever resident.
    pub(crate) peak_bytes: u64,
}

/// User and system time of process `pid` with all its threads, in seconds; the kernel counts in ticks of 10 ms.
///
/// # Errors
/// No such process.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(BenchError::io(format!("read {path}")))?;
    let ticks = cpu_ticks(&stat).ok_or_else(|| BenchError::Protocol(format!("{path} has no CPU times")))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// utime + stime. The process name, field 2, may hold spaces and brackets, hence the search for the last bracket.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory of process `pid`.
///
/// # Errors
/// No such process.
pub(crate) fn memory(pid: u32) -> Result<Memory, BenchError> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(BenchError::io(format!("read {path}")))?;
    memory_in(&status).ok_or_else(|| BenchError::Protocol(format!("{path} has no VmRSS")))
}

fn memory_in(status: &str) -> Option<Memory> {
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Memory {
        resident_bytes: bytes("VmRSS:")?,
        anonymous_bytes: bytes("RssAnon:")?,
        peak_bytes: bytes("VmHWM:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_process_name_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 700 50 0 0 20 0 9 0";
        assert_eq!(cpu_ticks(stat), Some(750));
        assert_eq!(cpu_ticks("garbage"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    4096 kB\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\n";
        let memory = Memory { resident_bytes: 2 << 20, anonymous_bytes: 1 << 20, peak_bytes: 4 << 20 };
        assert_eq!(memory_in(status), Some(memory));
        assert_eq!(memory_in("Name:\tx\n"), None);
    }
}
