use proptest::prelude::*;

use super::*;
use crate::registry::Announcement;

const LIFETIMES: Lifetimes = Lifetimes { inactive_ns: 300_000_000_000, tombstone_ns: 45_000_000_000 };

fn registry() -> Registry {
    let mut registry = Registry::new(LIFETIMES);
    let announced = Announcement {
        broadcast_address: "h\"1".into(),
        tcp_port: -1,
        http_port: 2,
        ..Announcement::default()
    };
    let id = registry.identify(announced, "10.0.0.1:5", 0);
    registry.register(id, "t", Some("c")).unwrap();
    registry.set_tombstones("t", "h\"1:2", 7);
    registry.create_channel("t", "d").unwrap();
    registry
}

fn json(registry: &Registry) -> String {
    let (mut text, mut save) = (String::new(), Save::default());
    registry.push_memory(&mut text, &mut save, 10, usize::MAX);
    text
}

/// A state file of it, in pieces of a byte.
fn file_of(registry: &Registry) -> Vec<u8> {
    let (text, mut at, mut out) = (json(registry), 0, io::Cursor::new(Vec::new()));
    encode(&mut out, |piece| {
        piece.push_str(&text[at..=at]);
        at += 1;
        at < text.len()
    })
    .unwrap();
    out.into_inner()
}

fn config(path: &Path) -> Config {
    let arguments = ["--state-file".into(), path.as_os_str().to_owned()];
    Config::start(arguments).unwrap()
}

#[test]
fn what_is_written_is_read_again() {
    let memory: Memory = serde_json::from_str(&json(&registry())).unwrap();
    assert_eq!(decode(&file_of(&registry())).unwrap(), memory);
}

#[test]
fn a_missing_file_is_an_empty_directory_and_appears() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let clock = Clock::start();
    let (known, (file, registry)) = (registry(), open(&config(&path), &clock).unwrap());
    assert_eq!(registry.counts(clock.now_ns()).topics, 0);
    assert!(path.exists());
    let shared = Shared::new(known, clock, Vec::new());
    file.unwrap().save(&shared).unwrap();
    let (_, registry) = open(&config(&path), &clock).unwrap();
    let counts = registry.counts(clock.now_ns());
    assert_eq!((counts.topics, counts.channels, counts.remembered), (1, 2, 1));
}

#[test]
fn a_damaged_file_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    fs::write(&path, "nonsense").unwrap();
    let clock = Clock::start();
    let (_, registry) = open(&config(&path), &clock).unwrap();
    assert_eq!(registry.counts(0).topics, 0);
    assert_eq!(fs::read(dir.path().join("state.damaged")).unwrap(), b"nonsense");
    assert!(decode(&fs::read(&path).unwrap()).is_ok());
}

#[test]
fn a_file_that_cannot_be_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(&config(&dir.path().join("no/such/dir")), &Clock::start()).unwrap_err();
    assert!(matches!(error, StateError::Write(..)), "{error}");
    let error = open(&config(dir.path()), &Clock::start()).unwrap_err();
    assert!(matches!(error, StateError::Read(..)), "{error}");
}

#[test]
fn a_file_of_the_first_version_is_read() {
    let json = json(&registry());
    let file = format!("{MARK}{:08x} {}\n{json}", crc32fast::hash(json.as_bytes()), json.len());
    assert!(decode(file.as_bytes()).is_ok());
}

#[test]
fn the_file_is_the_owners_and_a_link_in_its_way_is_not_followed() {
    use std::os::unix::fs::{MetadataExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let (path, precious) = (dir.path().join("state"), dir.path().join("precious"));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, dir.path().join("state.tmp")).unwrap();
    open(&config(&path), &Clock::start()).unwrap();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(fs::symlink_metadata(&path).unwrap().mode(), 0o100_600);
}

#[test]
fn a_slow_save_is_not_repeated_at_once() {
    assert_eq!(pause_after(Duration::from_millis(3)), Duration::from_millis(STATE_PERIOD_MS));
    assert_eq!(pause_after(Duration::from_secs(2)), Duration::from_secs(20));
}

#[test]
fn an_unchanged_directory_is_not_saved_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let clock = Clock::start();
    let (file, registry) = open(&config(&path), &clock).unwrap();
    let (file, shared) = (file.unwrap(), Shared::new(registry, clock, Vec::new()));
    file.save(&shared).unwrap();
    fs::remove_file(&path).unwrap();
    file.save(&shared).unwrap();
    assert!(!path.exists());
    shared.registry().create_topic("t").unwrap();
    file.save(&shared).unwrap();
    assert!(path.exists());
}

#[test]
fn content_that_contradicts_itself_is_damage() {
    for (from, to) in
        [("\"t\"", "\"t!\""), ("\"registrants\":[0]", "\"registrants\":[1]"), ("\"c\"", "\"*\"")]
    {
        let json = json(&registry());
        assert!(json.contains(from));
        let memory: Memory = serde_json::from_str(&json.replacen(from, to, 1)).unwrap();
        assert!(Registry::from_memory(LIFETIMES, memory, 10).is_err(), "{from}");
    }
}

proptest! {
    #[test]
    fn no_single_change_goes_unnoticed(place in any::<prop::sample::Index>(), change in 1..=255_u8) {
        let mut bytes = file_of(&registry());
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        // The case of a hex digit of the checksum carries no meaning.
        if decode(&bytes).is_ok() {
            prop_assert!(bytes[place].is_ascii_hexdigit() && change == 0x20);
        }
        let mut bytes = file_of(&registry());
        bytes.truncate(place);
        prop_assert!(decode(&bytes).is_err());
    }
}
