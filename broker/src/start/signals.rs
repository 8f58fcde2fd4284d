//! What ends the process: a signal, or a core that cannot go on.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};

/// SIGINT and SIGTERM end the wait of the main thread; SIGUSR1 is ignored, as NSQ's is.
pub(super) fn watch_signals(signals: &UnixStream) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signals.try_clone()?)?;
    }
    signal_hook::flag::register(SIGUSR1, Arc::default())?;
    Ok(())
}

/// Waits for a signal, or for a core that cannot go on.
pub(super) fn wait_for_end(mut ended: UnixStream) {
    let mut byte = [0];
    while let Err(error) = ended.read(&mut byte) {
        if error.kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}
