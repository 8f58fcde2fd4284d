//! The listener that nsqd registers at.
//!
//! An idle connection is a task of a few hundred bytes without any buffer: bytes are read into one scratch
//! buffer of the thread, and only an unfinished command is kept. A connection is not read from while its answers
//! wait to be sent, so what a peer can make the daemon hold is bounded by one read and its answers.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nsq_flags::{error, format_duration, info, rate_limited, warn};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::limits::{COMMANDS_PER_TURN_MAX, HANDSHAKE_MS_MAX, LINGER_MS_MAX, LINGER_SIZE_MAX, READ_SIZE_MAX};
use crate::registry::{Category, Full, RegistrantId, Registration};
use crate::session::{Fatal, Session, Step};
use crate::shared::Shared;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE_MAX].into_boxed_slice());
}

/// Accepts peers until the listener fails for good. At most `peers_max` at a time; further ones wait in the
/// kernel's queue.
///
/// # Errors
///
/// That of the listener.
pub async fn serve(listener: TcpListener, peers_max: usize, shared: Arc<Shared>) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(peers_max));
    loop {
        let permit = nsq_listen::room(&room, "TCP").await;
        let (stream, remote) = nsq_listen::accept(&listener, "TCP").await?;
        tokio::spawn(peer(stream, remote, permit, Arc::clone(&shared)));
    }
}

async fn peer(stream: TcpStream, remote: SocketAddr, _room: OwnedSemaphorePermit, shared: Arc<Shared>) {
    info!("TCP: new client({remote})");
    shared.metrics.connections.add_one();
    shared.metrics.connections_accepted.add_one();
    let mut peer = Peer {
        session: Session::new(),
        unread: Vec::new(),
        is_interrupted: false,
        registrant: None,
        remote,
        shared,
    };
    if let Err(error) = serve_peer(&stream, &mut peer).await {
        error!("client({remote}) - {error}");
    }
    peer.leave();
}

async fn serve_peer(stream: &TcpStream, peer: &mut Peer) -> io::Result<()> {
    // On the heap, so that it adds nothing to the tasks of idle connections.
    let handshake = Box::pin(converse(stream, peer, true));
    match timeout(Duration::from_millis(HANDSHAKE_MS_MAX), handshake).await {
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no IDENTIFY in time")),
        Ok(Ok(true)) => converse(stream, peer, false).await.map(drop),
        Ok(ended) => ended.map(drop),
    }
}

/// Reads, executes and answers, until either side is done or, in the handshake, the peer has introduced itself.
/// Whether that is so.
async fn converse(stream: &TcpStream, peer: &mut Peer, is_handshake: bool) -> io::Result<bool> {
    let mut answers = Vec::new();
    loop {
        if !peer.is_interrupted {
            stream.readable().await?;
        }
        let turn = match peer.turn(stream, &mut answers) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            turn => turn?,
        };
        if !answers.is_empty() {
            send(stream, &answers).await?;
            // Idle connections keep no buffer.
            answers = Vec::new();
        }
        match turn {
            Turn::More if is_handshake && peer.registrant.is_some() => return Ok(true),
            // There may be more to read or to execute: let the others have their turn first.
            Turn::More => tokio::task::yield_now().await,
            Turn::Ended => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "EOF")),
            Turn::Refused => {
                let _ = timeout(Duration::from_millis(LINGER_MS_MAX), linger(stream)).await;
                return Ok(false);
            }
        }
    }
}

/// Sends everything; the usual case is done at the first attempt.
async fn send(stream: &TcpStream, answers: &[u8]) -> io::Result<()> {
    let sent = match stream.try_write(answers) {
        Ok(size) if size == answers.len() => return Ok(()),
        Ok(size) => size,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    // On the heap, so that it adds nothing to the tasks of idle connections.
    let rest = Box::pin(send_slowly(stream, &answers[sent..]));
    match timeout(Duration::from_millis(nsq_listen::ANSWER_MS_MAX), rest).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "answers were not read")),
    }
}

async fn send_slowly(stream: &TcpStream, mut answers: &[u8]) -> io::Result<()> {
    while !answers.is_empty() {
        stream.writable().await?;
        match stream.try_write(answers) {
            Ok(size) => answers = &answers[size..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// After an error: closes the sending side, and reads on for a while. A connection closed with unread bytes is
/// reset, and a reset may overtake the answer.
async fn linger(stream: &TcpStream) -> io::Result<()> {
    rustix::net::shutdown(stream, rustix::net::Shutdown::Write)?;
    let mut size = 0;
    while size < LINGER_SIZE_MAX {
        stream.readable().await?;
        match SCRATCH.with_borrow_mut(|scratch| stream.try_read(scratch)) {
            Ok(0) => break,
            Ok(read) => size += read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What follows one read.
enum Turn {
    More,
    /// The peer has closed its side.
    Ended,
    /// The peer has got an error.
    Refused,
}

/// A connection's state between two reads.
struct Peer {
    session: Session,
    /// The beginning of a command, and the commands before it that had no turn yet; bounded by the session and one
    /// read.
    unread: Vec<u8>,
    /// There may be whole commands in `unread`.
    is_interrupted: bool,
    registrant: Option<RegistrantId>,
    remote: SocketAddr,
    shared: Arc<Shared>,
}

impl Peer {
    /// Reads once, unless there is something to do already, and executes what is complete, to the bound of a turn.
    fn turn(&mut self, stream: &TcpStream, answers: &mut Vec<u8>) -> io::Result<Turn> {
        if self.is_interrupted {
            return Ok(self.read(&[], answers));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let size = stream.try_read(scratch)?;
            if size == 0 {
                return Ok(match self.session.end() {
                    Some(fatal) => self.refuse(fatal, answers),
                    None => Turn::Ended,
                });
            }
            Ok(self.read(&scratch[..size], answers))
        })
    }

    fn read(&mut self, bytes: &[u8], answers: &mut Vec<u8>) -> Turn {
        let mut kept = std::mem::take(&mut self.unread);
        if kept.is_empty() {
            let (taken, turn) = self.execute_all(bytes, answers);
            self.unread = bytes[taken..].to_vec();
            return turn;
        }
        kept.extend_from_slice(bytes);
        let (taken, turn) = self.execute_all(&kept, answers);
        if taken < kept.len() {
            kept.drain(..taken);
            self.unread = kept;
        }
        turn
    }

    /// How many bytes were taken, and what follows.
    fn execute_all(&mut self, input: &[u8], answers: &mut Vec<u8>) -> (usize, Turn) {
        let mut taken = 0;
        self.is_interrupted = false;
        for _ in 0..COMMANDS_PER_TURN_MAX {
            let (size, step) = self.session.next(&input[taken..]);
            taken += size;
            let result = match step {
                Step::Incomplete => return (taken, Turn::More),
                Step::Fatal(fatal) => Err(fatal),
                step => self.execute(step, answers),
            };
            if let Err(fatal) = result {
                return (taken, self.refuse(fatal, answers));
            }
        }
        self.is_interrupted = taken < input.len();
        (taken, Turn::More)
    }

    fn execute<'a>(&mut self, step: Step<'a>, answers: &mut Vec<u8>) -> Result<(), Fatal<'a>> {
        match step {
            Step::Incomplete | Step::Fatal(_) => return Ok(()),
            Step::Magic => {
                info!("CLIENT({}): desired protocol magic '  V1'", self.remote);
                return Ok(());
            }
            Step::Ping => self.ping(),
            Step::Identify(announcement) => {
                self.identify(*announcement);
                push_answer(answers, &self.shared.identify_reply);
                return Ok(());
            }
            Step::Register(topic, channel) => {
                let Some(id) = self.registrant else { return Err(Fatal::NotIdentified) };
                if let Err(full) = self.register(id, topic, channel) {
                    push_answer(answers, format!("E_INVALID REGISTER {full}").as_bytes());
                    return Ok(());
                }
            }
            Step::Unregister(topic, channel) => self.unregister(topic, channel),
        }
        push_answer(answers, b"OK");
        Ok(())
    }

    fn ping(&self) {
        self.shared.metrics.pings.add_one();
        let Some(id) = self.registrant else { return };
        let silence_ns = self.shared.registry().ping(id, self.shared.clock.now_ns());
        info!("CLIENT({}): pinged (last ping {})", self.remote, format_duration(silence_ns));
    }

    fn identify(&mut self, announced: crate::registry::Announcement) {
        self.shared.metrics.identifies.add_one();
        info!(
            "CLIENT({}): IDENTIFY Address:{} TCP:{} HTTP:{} Version:{}",
            self.remote,
            announced.broadcast_address,
            announced.tcp_port,
            announced.http_port,
            announced.version
        );
        let now_ns = self.shared.clock.now_ns();
        let id = self.shared.registry().identify(announced, &self.remote.to_string(), now_ns);
        self.registrant = Some(id);
        self.log_register(Registration { category: Category::Client, key: "", subkey: "" });
    }

    /// A refusal is no reason to end the connection: that would take all its other registrations from consumers, and
    /// nsqd would come back and meet the same bound.
    fn register(&self, id: RegistrantId, topic: &str, channel: Option<&str>) -> Result<(), Full> {
        let added = match self.shared.registry().register(id, topic, channel) {
            Ok(added) => added,
            Err(full) => {
                self.shared.metrics.register_refusals.add_one();
                rate_limited!(
                    warn,
                    self.remote.ip(),
                    "client({}) REGISTER {topic} refused: {full}",
                    self.remote
                );
                return Err(full);
            }
        };
        self.shared.metrics.registers.add_one();
        if let (true, Some(channel)) = (added.channel, channel) {
            self.log_register(Registration::channel(topic, channel));
        }
        if added.topic {
            self.log_register(Registration::topic(topic));
        }
        Ok(())
    }

    fn unregister(&self, topic: &str, channel: Option<&str>) {
        self.shared.metrics.unregisters.add_one();
        let Some(id) = self.registrant else { return };
        let mut registry = self.shared.registry();
        match channel {
            Some(channel) => {
                if registry.unregister_channel(id, topic, channel) {
                    self.log_unregister(Registration::channel(topic, channel));
                }
            }
            // nsqd takes the channels of a topic down one by one before, so there should be none left.
            None => registry.unregister_topic(id, topic, |ended| match ended.category {
                Category::Channel => warn!("client({}) unexpected UNREGISTER {ended}", self.remote),
                _ => self.log_unregister(ended),
            }),
        }
    }

    fn refuse(&self, fatal: Fatal<'_>, answers: &mut Vec<u8>) -> Turn {
        self.shared.metrics.protocol_errors.add_one();
        let text = fatal.text();
        match fatal {
            Fatal::BadMagic(magic) => {
                let magic = magic.escape_ascii();
                rate_limited!(
                    error,
                    self.remote.ip(),
                    "client({}) bad protocol magic '{magic}'",
                    self.remote
                );
            }
            _ => {
                let text = String::from_utf8_lossy(&text);
                rate_limited!(error, self.remote.ip(), "[{}] - {text}", self.remote);
            }
        }
        push_answer(answers, &text);
        Turn::Refused
    }

    fn leave(self) {
        info!("PROTOCOL(V1): [{}] exiting ioloop", self.remote);
        self.shared.metrics.connections.sub_one();
        if let Some(id) = self.registrant {
            self.shared.registry().disconnect(id, |ended| self.log_unregister(ended));
            self.log_unregister(Registration { category: Category::Client, key: "", subkey: "" });
        }
    }

    fn log_register(&self, registration: Registration<'_>) {
        info!("DB: client({}) REGISTER {registration}", self.remote);
    }

    fn log_unregister(&self, registration: Registration<'_>) {
        info!("DB: client({}) UNREGISTER {registration}", self.remote);
    }
}

/// Answers carry their size, in four bytes, and no type.
fn push_answer(answers: &mut Vec<u8>, payload: &[u8]) {
    let size = u32::try_from(payload.len()).expect("invariant: answers are bounded far below 4 GiB");
    answers.extend_from_slice(&size.to_be_bytes());
    answers.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::sleep;

    use super::*;
    use crate::clock::Clock;
    use crate::registry::{Lifetimes, Registry};

    const IDENTIFY: &str = r#"{"broadcast_address":"h","tcp_port":1,"http_port":2,"version":"v"}"#;

    fn peer() -> Peer {
        let registry = Registry::new(Lifetimes { inactive_ns: i64::MAX, tombstone_ns: 0 });
        Peer {
            session: Session::new(),
            unread: Vec::new(),
            is_interrupted: false,
            registrant: None,
            remote: "10.0.0.1:5".parse().unwrap(),
            shared: Arc::new(Shared::new(registry, Clock::start(), b"{}".to_vec())),
        }
    }

    fn identify() -> Vec<u8> {
        [b"  V1IDENTIFY\n", &(IDENTIFY.len() as u32).to_be_bytes()[..], IDENTIFY.as_bytes()].concat()
    }

    #[test]
    fn a_turn_is_bounded_and_nothing_is_left_undone() {
        let (mut peer, mut answers) = (peer(), Vec::new());
        peer.read(&[identify(), b"UNREGISTER t\n".repeat(1_000)].concat(), &mut answers);
        let ok = [0, 0, 0, 2, b'O', b'K'];
        let count = |answers: &[u8]| answers.windows(6).filter(|window| *window == ok).count();
        assert!(count(&answers) <= COMMANDS_PER_TURN_MAX && peer.is_interrupted);
        for _ in 0..1_000 / COMMANDS_PER_TURN_MAX {
            peer.read(&[], &mut answers);
        }
        assert_eq!(count(&answers), 1_000);
        assert!(!peer.is_interrupted && peer.unread.is_empty());
    }

    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_introduce_itself_is_closed() {
        for said in [&b""[..], b"  V1", b"  V1PING\n"] {
            let (mut client, stream) = connection().await;
            client.write_all(said).await.unwrap();
            let error = serve_peer(&stream, &mut peer()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_introduced_itself_may_be_silent() {
        let (mut client, stream) = connection().await;
        client.write_all(&identify()).await.unwrap();
        let mut peer = peer();
        tokio::select! {
            ended = serve_peer(&stream, &mut peer) => panic!("{ended:?}"),
            () = sleep(Duration::from_secs(24 * 3600)) => {}
        }
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, 0, 0, 2, b'{', b'}']);
    }
}
