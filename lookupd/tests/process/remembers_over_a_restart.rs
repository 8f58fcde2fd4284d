//! `--state-file`: consumers that ask right after a restart find what was known before.

use crate::support::{Daemon, until};

fn state_flag(dir: &tempfile::TempDir) -> String {
    format!("--state-file={}", dir.path().join("state").display())
}

#[test]
fn a_restart_remembers_producers_until_they_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let flag = state_flag(&dir);
    let mut daemon = Daemon::start(&[&flag]);
    let mut peer = daemon.peer("h1");
    peer.ask("REGISTER t c");
    peer.ask("REGISTER u");
    assert_eq!(daemon.terminate(), Some(0));

    let daemon = Daemon::start(&[&flag]);
    assert_eq!(daemon.producers("t"), ["h1"]);
    assert_eq!(daemon.http("GET", "/channels?topic=t").1, "{\"channels\":[\"c\"]}");
    let mut peer = daemon.peer("h1");
    peer.ask("REGISTER t c");
    assert_eq!(daemon.producers("t"), ["h1"], "once, not twice");
    assert_eq!(peer.ask("PING"), "OK");
    assert_eq!(daemon.producers("u"), [""; 0], "it has not announced u again");
}

#[test]
fn a_killed_daemon_remembers_what_it_had_saved() {
    let dir = tempfile::tempdir().unwrap();
    let flag = state_flag(&dir);
    let mut daemon = Daemon::start(&[&flag]);
    let mut peer = daemon.peer("h1");
    peer.ask("REGISTER t");
    until("it is saved", || {
        let metrics = daemon.http("GET", "/metrics").1;
        metrics.contains("state_saves_total{result=\"success\"} 1").then_some(())
    });
    daemon.kill();
    assert_eq!(Daemon::start(&[&flag]).producers("t"), ["h1"]);
}

#[test]
fn who_does_not_come_back_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let flag = state_flag(&dir);
    let mut daemon = Daemon::start(&[&flag]);
    daemon.peer("h1").ask("REGISTER t");
    let mut peer = daemon.peer("h2");
    peer.ask("REGISTER t");
    assert_eq!(daemon.terminate(), Some(0));
    let daemon = Daemon::start(&[&flag, "--inactive-producer-timeout=1s"]);
    until("it is hidden", || daemon.producers("t").is_empty().then_some(()));
    until("it is forgotten", || (daemon.http("GET", "/debug").1 == "{}").then_some(()));
}

#[test]
fn without_the_flag_a_restart_starts_empty() {
    let mut daemon = Daemon::start(&[]);
    let mut peer = daemon.peer("h1");
    peer.ask("REGISTER t");
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(Daemon::start(&[]).http("GET", "/topics").1, "{\"topics\":[]}");
}
