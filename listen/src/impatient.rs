//! A connection that does not wait for ever for an HTTP client: to read, to finish a head, or to ask again.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How long a client may leave its answer unread, in milliseconds, if it takes nothing of it.
pub const ANSWER_MS_MAX: u64 = 30_000;

/// What each byte of an answer that it takes adds to that: 16 KiB/s may go on for ever, a drip may not.
const ANSWER_NS_PER_BYTE: u64 = 1_000_000_000 / (16 * 1024);

/// How long the head of a request may take, in milliseconds, from its first byte. As in nsqd.
pub const HEAD_MS_MAX: u64 = 10_000;

/// How long a client may be silent between requests, and before the first, in milliseconds. As in nsqd: longer than
/// the 90 s after which Go's client closes an idle connection itself.
pub const IDLE_MS_MAX: u64 = 120_000;

/// Writing fails once the other side has not taken enough for [`ANSWER_MS_MAX`]. A client that stalls within its answer
/// would otherwise keep that answer in memory as long as it likes. Reading fails, where [`Requests`] tell when it may
/// last, after [`HEAD_MS_MAX`] within a head and [`IDLE_MS_MAX`] before one.
pub struct Impatient {
    stream: TcpStream,
    /// Until when the writes that wait have to be through.
    write_deadline: Option<Pin<Box<Sleep>>>,
    read: Option<ReadDeadline>,
}

/// Tells a connection when a request is under way, so that it does not hold our own time against the client. hyper
/// serves one request of a connection at a time.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<AtomicU32>);

/// A request that is under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<AtomicU32>);

impl Requests {
    /// A head has come.
    pub fn begin(&self) -> UnderWay {
        self.0.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct ReadDeadline {
    /// Odd while a request is under way.
    turns: Arc<AtomicU32>,
    /// Of `turns`, what the deadline belongs to.
    turn: u32,
    in_head: bool,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl ReadDeadline {
    /// Starts anew where a request has begun or ended since the last read. Whether none is under way.
    fn runs(&mut self) -> bool {
        let turn = self.turns.load(Ordering::Relaxed);
        if self.turn != turn {
            (self.turn, self.in_head, self.deadline) = (turn, false, None);
        }
        turn.is_multiple_of(2)
    }

    fn on_bytes(&mut self) {
        if self.runs() && !self.in_head {
            (self.in_head, self.deadline) = (true, None);
        }
    }

    /// Ready when the time is up.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.runs() {
            return Poll::Pending;
        }
        let (ms_max, text) = match self.in_head {
            true => (HEAD_MS_MAX, "the request was not finished in time"),
            false => (IDLE_MS_MAX, "no further request came"),
        };
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(ms_max))));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

impl Impatient {
    /// Around a fresh connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, write_deadline: None, read: None }
    }

    /// Around a fresh connection, with deadlines for reading too. Every request must be told.
    pub fn between_requests(stream: TcpStream) -> (Self, Requests) {
        let requests = Requests::default();
        let turns = Arc::clone(&requests.0);
        let read = Some(ReadDeadline { turns, turn: 0, in_head: false, deadline: None });
        (Self { stream, write_deadline: None, read }, requests)
    }

    /// Passes the outcome of a write on, or says that the time is up.
    fn or_deadline(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let full = Duration::from_millis(ANSWER_MS_MAX);
        if let Poll::Ready(Ok(size)) = outcome
            && let Some(deadline) = &mut self.write_deadline
        {
            let credit = (size as u64).saturating_mul(ANSWER_NS_PER_BYTE);
            let extended = deadline.deadline() + Duration::from_nanos(credit);
            if extended >= Instant::now() + full {
                self.write_deadline = None;
            } else {
                deadline.as_mut().reset(extended);
            }
        }
        if outcome.is_ready() {
            return outcome;
        }
        let deadline =
            self.write_deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + full)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer was not read")))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let Some(read) = &mut self.read else { return outcome };
        if outcome.is_ready() {
            if buffer.filled().len() > before {
                read.on_bytes();
            }
            return outcome;
        }
        read.poll(cx).map(Err)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_deadline(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.or_deadline(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = Impatient::new(stream);
        let error = stream.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_drips_its_reading_is_given_up() {
        let (mut client, stream) = pair().await;
        let mut stream = Impatient::new(stream);
        let (answer, started) = (vec![0; 64 << 20], Instant::now());
        let drip = async {
            loop {
                sleep(Duration::from_secs(20)).await;
                let _ = client.read_exact(&mut [0; 4096]).await;
            }
        };
        let error = tokio::select! {
            done = stream.write_all(&answer) => done.unwrap_err(),
            () = drip => unreachable!(),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_ten_seconds_however_it_drips() {
        let (mut client, stream) = pair().await;
        let (mut stream, _requests) = Impatient::between_requests(stream);
        let started = Instant::now();
        let drip = async {
            loop {
                client.write_all(b"x").await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        };
        let mut head = Vec::new();
        let error = tokio::select! {
            done = stream.read_to_end(&mut head) => done.unwrap_err(),
            () = drip => unreachable!(),
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let took = started.elapsed();
        assert!((10..12).contains(&took.as_secs()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_there_is_more_time_and_our_own_does_not_count() {
        let (mut client, stream) = pair().await;
        let (mut stream, requests) = Impatient::between_requests(stream);
        client.write_all(b"GET").await.unwrap();
        stream.read_exact(&mut [0; 3]).await.unwrap();
        let under_way = requests.begin();
        let hour = sleep(Duration::from_secs(3600));
        tokio::select! {
            read = stream.read_u8() => panic!("{read:?}"),
            () = hour => {}
        }
        drop(under_way);
        let started = Instant::now();
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed().as_millis() as u64 / 1000, IDLE_MS_MAX / 1000);
        drop(client);
    }
}
