//! A bounded buffer of lines, and the one thread that writes them.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Level, line};

/// Bytes of lines that wait to be written. As much may be with the thread: this bounds the log's memory, and what a
/// crash can take with it while nobody reads.
pub const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// A write of so much or less goes into a pipe as a whole, so that lines of several processes do not mix.
const WRITE_BYTES_MAX: usize = 4096;

/// A buffer that grew larger is given back.
const IDLE_BYTES_MAX: usize = 16 * 1024;

/// Pause before the next attempt where the other end has made the pipe a non-blocking one.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Lines that found no room since the last that did.
    lost_count: u64,
    /// The thread has taken lines and not written all of them yet.
    is_writing: bool,
}

impl Writer {
    /// A writer with a thread of its own, which lives as long as the process.
    pub(super) fn start(out: impl Write + Send + 'static, prefix: String) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_all_to(out, &prefix))?;
        Ok(Self { shared })
    }

    /// Hands a line over, and never waits for its writing. Where there is no room it is lost, and counted.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.pending.len() + line.len() > BUFFER_BYTES_MAX {
            state.lost_count += 1;
            return;
        }
        state.pending.extend_from_slice(line);
        let sleeps = !state.is_writing;
        drop(state);
        if sleeps {
            self.shared.filled.notify_one();
        }
    }

    /// Waits until everything is written, but not longer than `wait_max`.
    pub(super) fn flush(&self, wait_max: Duration) {
        let state = self.shared.lock();
        let is_busy = |state: &mut State| state.is_writing || !state.pending.is_empty();
        let _ = self.shared.emptied.wait_timeout_while(state, wait_max, is_busy);
    }
}

impl Shared {
    /// A panic of another thread while it added a line leaves at worst half a line.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all_to(&self, mut out: impl Write, prefix: &str) {
        let mut lines = Vec::new();
        let mut state = self.lock();
        loop {
            if state.pending.is_empty() {
                state.is_writing = false;
                self.emptied.notify_all();
                state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            std::mem::swap(&mut lines, &mut state.pending);
            let lost_count = std::mem::take(&mut state.lost_count);
            state.is_writing = true;
            drop(state);
            if lost_count > 0 {
                let text =
                    format_args!("LOG: {lost_count} lines were lost here: nobody read the log in time");
                lines.extend_from_slice(line::now(prefix, Level::Warn, text).as_bytes());
            }
            write_lines(&mut out, &lines);
            lines.clear();
            lines.shrink_to(IDLE_BYTES_MAX);
            state = self.lock();
        }
    }
}

/// Writes whole lines, as many at once as a pipe takes in one piece. Where nobody can read any more they are lost, and
/// nothing else.
fn write_lines(out: &mut impl Write, mut lines: &[u8]) {
    while !lines.is_empty() {
        let head = &lines[..lines.len().min(WRITE_BYTES_MAX)];
        let size = head.iter().rposition(|&byte| byte == b'\n').map_or(head.len(), |last| last + 1);
        let (piece, rest) = lines.split_at(size);
        write_piece(out, piece);
        lines = rest;
    }
}

fn write_piece(out: &mut impl Write, mut piece: &[u8]) {
    while !piece.is_empty() {
        match out.write(piece) {
            Ok(0) => return,
            Ok(size) => piece = &piece[size..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY_PAUSE),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, pipe};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn lines(reader: PipeReader) -> impl Iterator<Item = String> {
        BufReader::new(reader).lines().map(Result::unwrap)
    }

    #[test]
    fn lines_come_out_in_order() {
        let (reader, out) = pipe().unwrap();
        let writer = Writer::start(out, String::new()).unwrap();
        for number in 0..1000 {
            writer.push(format!("line {number}\n").as_bytes());
        }
        let written: Vec<_> = lines(reader).take(1000).collect();
        assert_eq!(written, (0..1000).map(|number| format!("line {number}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_pipe_holds_nobody_up_and_what_is_lost_is_counted() {
        let (reader, out) = pipe().unwrap();
        let writer = Writer::start(out, "[x] ".to_owned()).unwrap();
        let line = |number: u32| format!("{number:01000}\n");
        // Far more than a pipe and the buffer hold: `push` would never return if it waited.
        let count = 4 * u32::try_from(BUFFER_BYTES_MAX).unwrap() / 1000;
        (0..count).for_each(|number| writer.push(line(number).as_bytes()));

        let (mut kept, mut lost) = (Vec::new(), 0);
        for line in lines(reader) {
            match line.parse::<u32>() {
                Ok(number) => kept.push(number),
                Err(_) => {
                    assert!(line.starts_with("[x] ") && line.contains(" WARNING: LOG: "), "{line}");
                    let mut words = line.split(' ').skip_while(|word| *word != "LOG:").skip(1);
                    lost += words.next().unwrap().parse::<usize>().unwrap();
                }
            }
            if kept.len() + lost == count as usize {
                break;
            }
        }
        assert!(kept.is_sorted() && lost > 0, "in order, and {lost} lost");
        assert!(kept.len() * 1000 >= BUFFER_BYTES_MAX / 2, "the buffer is used");
    }

    #[test]
    fn a_flush_waits_for_the_last_line_but_not_for_ever() {
        struct Slow(PipeReader, Vec<u8>, Arc<Mutex<Vec<u8>>>);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // Written only when the test says so.
                io::Read::read_exact(&mut self.0, &mut [0])?;
                self.1.extend_from_slice(bytes);
                self.2.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (reader, mut permit) = pipe().unwrap();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Writer::start(Slow(reader, Vec::new(), Arc::clone(&written)), String::new()).unwrap();
        writer.push(b"last\n");
        writer.flush(Duration::from_millis(10));
        assert!(written.lock().unwrap().is_empty(), "gave up");
        permit.write_all(b"x").unwrap();
        writer.flush(LONG);
        assert_eq!(*written.lock().unwrap(), b"last\n");
    }

    #[test]
    fn what_cannot_be_written_is_dropped() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let writer = Writer::start(Broken, String::new()).unwrap();
        writer.push(b"gone\n");
        writer.flush(LONG);
        assert!(writer.shared.lock().pending.is_empty());
    }
}
