//! The state file: what the directory knew, for the moments after a restart in which no nsqd is back yet.
//!
//! ```text
//!   nsqlookupd state 1 <CRC-32 of the rest, 8 hex digits> <size of the rest>\n
//!   { "registrants": […], "topics": […] }
//! ```
//!
//! The file is replaced as a whole: written beside it, synced, renamed, and the rename synced. A crash leaves the
//! old one or the new one.
//!
//! It is a convenience, and nsqd repeats everything within 15 seconds. So a damaged file is put aside with a
//! warning and the daemon starts with nothing: refusing would turn a lost convenience into an outage of
//! discovery. A file that cannot be read or written at all is refused, since that is a mistake in the
//! configuration and would otherwise be noticed when it is too late.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nsq_flags::{error, info, warn};

use crate::clock::Clock;
use crate::config::Config;
use crate::limits::{PIECE_SIZE, STATE_PAUSE_PER_SAVE, STATE_PERIOD_MS, STATE_SIZE_MAX};
use crate::registry::{Lifetimes, Memory, MemoryError, Registry, Save};
use crate::shared::Shared;

const MARK: &str = "nsqlookupd state 1 ";

/// What went wrong with the state file.
#[derive(Debug)]
#[non_exhaustive]
pub enum StateError {
    /// It cannot be read.
    Read(PathBuf, io::Error),
    /// It cannot be written.
    Write(PathBuf, io::Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "failed to read state file {} - {error}", path.display()),
            Self::Write(path, error) => write!(f, "failed to write state file {} - {error}", path.display()),
        }
    }
}

/// Why the content of a state file cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum Damage {
    /// It does not begin as a state file of this version does.
    Mark,
    /// It is longer or shorter than it says.
    Size,
    /// The checksum does not match.
    Checksum,
    /// The content is not of the right form.
    Json(serde_json::Error),
    /// The content contradicts itself.
    Content(MemoryError),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark => f.write_str("it is no state file of this version"),
            Self::Size => f.write_str("it is cut off or has grown"),
            Self::Checksum => f.write_str("its checksum does not match"),
            Self::Json(error) => write!(f, "{error}"),
            Self::Content(error) => write!(f, "{error}"),
        }
    }
}

/// Writes a state file from the pieces of its memory, each made into an empty text; `false` with the last of them.
/// The header comes last, so that no more than a piece is in memory.
fn encode(out: &mut (impl Write + Seek), mut piece: impl FnMut(&mut String) -> bool) -> io::Result<()> {
    out.write_all(header(0, 0).as_bytes())?;
    let (mut checksum, mut size, mut text) = (crc32fast::Hasher::new(), 0, String::new());
    loop {
        text.clear();
        let more = piece(&mut text);
        checksum.update(text.as_bytes());
        size += text.len();
        out.write_all(text.as_bytes())?;
        if !more {
            break;
        }
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(header(checksum.finalize(), size).as_bytes())
}

fn header(checksum: u32, size: usize) -> String {
    format!("{MARK}{checksum:08x} {size:020}\n")
}

/// Reads the bytes of a state file.
///
/// # Errors
///
/// Where they are not exactly what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Memory, Damage> {
    let rest = bytes.strip_prefix(MARK.as_bytes()).ok_or(Damage::Mark)?;
    let end = rest.iter().take(64).position(|&byte| byte == b'\n').ok_or(Damage::Mark)?;
    let header = std::str::from_utf8(&rest[..end]).map_err(|_| Damage::Mark)?;
    let (checksum, size) = header.split_once(' ').ok_or(Damage::Mark)?;
    let checksum = u32::from_str_radix(checksum, 16).map_err(|_| Damage::Mark)?;
    let json = &rest[end + 1..];
    // The first files had no leading zeros.
    if size != format!("{:020}", json.len()) && size != json.len().to_string() {
        return Err(Damage::Size);
    }
    if crc32fast::hash(json) != checksum {
        return Err(Damage::Checksum);
    }
    serde_json::from_slice(json).map_err(Damage::Json)
}

/// Where the directory is remembered.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// The revision of the directory that was saved last. The lock also keeps two savers from each other.
    saved: Mutex<Option<u64>>,
}

/// Opens the configured state file, and gives the directory that it remembers; an empty one where there is none.
///
/// # Errors
///
/// Where the file cannot be read or written. A damaged one is put aside.
pub fn open(config: &Config, clock: &Clock) -> Result<(Option<Arc<StateFile>>, Registry), StateError> {
    let Some(path) = &config.state_file else { return Ok((None, Registry::new(config.lifetimes))) };
    let registry = match load(path, config.lifetimes, clock.now_ns())? {
        Loaded::Nothing => Registry::new(config.lifetimes),
        Loaded::Remembered(registry) => {
            let counts = registry.counts(clock.now_ns());
            info!(
                "STATE: {} producers and {} topics remembered from {}",
                counts.remembered,
                counts.topics,
                path.display()
            );
            *registry
        }
        Loaded::Damaged(damage) => {
            let aside = beside(path, ".damaged");
            fs::rename(path, &aside).map_err(|error| StateError::Write(aside.clone(), error))?;
            warn!(
                "STATE: {} is damaged - {damage}; it is now {}, and nothing is remembered",
                path.display(),
                aside.display()
            );
            Registry::new(config.lifetimes)
        }
    };
    let file = StateFile { path: path.clone(), saved: Mutex::new(None) };
    let mut save = Save::default();
    file.write(|piece| {
        registry.push_memory(piece, &mut save, clock.now_ns(), PIECE_SIZE);
        !save.is_at_end()
    })?;
    Ok((Some(Arc::new(file)), registry))
}

enum Loaded {
    Nothing,
    Remembered(Box<Registry>),
    Damaged(Damage),
}

fn load(path: &Path, lifetimes: Lifetimes, now_ns: i64) -> Result<Loaded, StateError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Nothing),
        opened => opened.and_then(|file| file.take(STATE_SIZE_MAX).read_to_end(&mut bytes)),
    }
    .map_err(|error| StateError::Read(path.to_owned(), error))?;
    let registry = decode(&bytes)
        .and_then(|memory| Registry::from_memory(lifetimes, memory, now_ns).map_err(Damage::Content));
    Ok(match registry {
        Ok(registry) => Loaded::Remembered(Box::new(registry)),
        Err(damage) => Loaded::Damaged(damage),
    })
}

impl StateFile {
    /// Saves the directory unless it is saved already. On return the file survives a crash. Blocks on the disk.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; the old file is still there then.
    pub fn save(&self, shared: &Shared) -> Result<(), StateError> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let revision = shared.registry().revision();
        if *saved == Some(revision) {
            return Ok(());
        }
        // The lock is held for a piece at a time. A change in between makes another revision, which is saved next.
        let mut save = Save::default();
        let written = self.write(|piece| {
            shared.registry().push_memory(piece, &mut save, shared.clock.now_ns(), PIECE_SIZE);
            !save.is_at_end()
        });
        match written {
            Ok(()) => {
                *saved = Some(revision);
                shared.metrics.saves.add_one();
                Ok(())
            }
            Err(error) => {
                shared.metrics.save_failures.add_one();
                Err(error)
            }
        }
    }

    fn write(&self, piece: impl FnMut(&mut String) -> bool) -> Result<(), StateError> {
        let temporary = beside(&self.path, ".tmp");
        let write = || -> io::Result<()> {
            // What a crash has left. Whatever else somebody has put there, such as a link, is not followed.
            match fs::remove_file(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            let mut out = BufWriter::new(file);
            encode(&mut out, piece)?;
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            File::open(directory(&self.path))?.sync_all()
        };
        write().map_err(|error| StateError::Write(self.path.clone(), error))
    }
}

/// Keeps the state file up to date, and forgets who stays away. Never returns.
pub async fn keep(file: Option<Arc<StateFile>>, shared: Arc<Shared>) -> std::convert::Infallible {
    let Some(file) = file else { return std::future::pending().await };
    let mut pause = Duration::from_millis(STATE_PERIOD_MS);
    loop {
        tokio::time::sleep(pause).await;
        let forgotten = shared.registry().forget_absent(shared.clock.now_ns());
        if forgotten > 0 {
            info!("STATE: {forgotten} remembered producers did not come back and are forgotten");
        }
        let (file, shared) = (Arc::clone(&file), Arc::clone(&shared));
        let started = Instant::now();
        // A failed save is tried again after the next period: the revision is still another one.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || file.save(&shared)).await {
            error!("{error}");
        }
        pause = pause_after(started.elapsed());
    }
}

/// A large directory that changes all the time must not keep disk and processor busy.
fn pause_after(took: Duration) -> Duration {
    (took * STATE_PAUSE_PER_SAVE).max(Duration::from_millis(STATE_PERIOD_MS))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
