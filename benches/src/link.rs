//! One TCP connection: opened and greeted with blocking calls, then non-blocking reads and writes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::BenchError;
use crate::wire::{self, FRAME_BYTES_MAX, Frame};

/// Each step of the handshake must be answered within this time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Heartbeats tolerated while waiting for one answer.
const HANDSHAKE_HEARTBEATS_MAX: usize = 8;

/// What a connection tells the server about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// Longest time the server may hold bytes back, in ms. Stock clients ask for 250, the server's least is 25.
    pub(crate) output_buffer_timeout_ms: u64,
}

/// A connection after its handshake.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    /// The start of a frame whose rest has not arrived.
    partial: Vec<u8>,
}

impl Link {
    /// Connects, sends the magic and IDENTIFY, then each of `commands`, and waits for every answer.
    ///
    /// # Errors
    /// No connection, no answer in time, or an error frame.
    pub(crate) fn open(
        address: SocketAddr,
        identity: Identity,
        commands: &[String],
    ) -> Result<Self, BenchError> {
        let mut link = Self::dial(address)?;
        link.handshake(identity, commands).map_err(BenchError::io(format!("handshake with {address}")))?;
        Ok(link)
    }

    /// Connects and leaves the greeting to the caller.
    ///
    /// # Errors
    /// No connection.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, BenchError> {
        let link = Self::dial(address)?;
        let prepare = || {
            link.stream.set_nodelay(true)?;
            link.stream.set_nonblocking(true)
        };
        prepare().map_err(BenchError::io(format!("prepare a connection to {address}")))?;
        Ok(link)
    }

    fn dial(address: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect_timeout(&address, HANDSHAKE_TIMEOUT)
            .map_err(BenchError::io(format!("connect to {address}")))?;
        Ok(Self { stream, partial: Vec::new() })
    }

    fn handshake(&mut self, identity: Identity, commands: &[String]) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
        self.stream.set_write_timeout(Some(HANDSHAKE_TIMEOUT))?;
        let settings = serde_json::json!({
            "client_id": "nsq-bench",
            "hostname": "nsq-bench",
            "user_agent": concat!("nsq-bench/", env!("CARGO_PKG_VERSION")),
            "feature_negotiation": true,
            "heartbeat_interval": 30_000,
            "output_buffer_size": 16_384,
            "output_buffer_timeout": identity.output_buffer_timeout_ms,
        });
        let mut greeting = wire::MAGIC.to_vec();
        wire::push_with_body(&mut greeting, "IDENTIFY", settings.to_string().as_bytes());
        self.stream.write_all(&greeting)?;
        self.await_answer()?;
        for command in commands {
            self.stream.write_all(format!("{command}\n").as_bytes())?;
            self.await_answer()?;
        }
        self.stream.set_nonblocking(true)
    }

    /// Reads frame by frame, not a byte further, until a response comes that is no heartbeat.
    fn await_answer(&mut self) -> io::Result<()> {
        for _ in 0..HANDSHAKE_HEARTBEATS_MAX {
            let mut frame = vec![0; 4];
            self.stream.read_exact(&mut frame)?;
            let size = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
            if !(4..=FRAME_BYTES_MAX).contains(&size) {
                return Err(io::Error::other(format!("frame of {size} bytes")));
            }
            frame.resize(4 + size, 0);
            self.stream.read_exact(&mut frame[4..])?;
            match wire::next_frame(&mut &frame[..]).map_err(io::Error::other)? {
                Some(Frame::Response(b"_heartbeat_")) => self.stream.write_all(wire::NOP)?,
                Some(Frame::Response(_)) => return Ok(()),
                Some(Frame::Error(text)) => {
                    return Err(io::Error::other(String::from_utf8_lossy(text).into_owned()));
                }
                other => return Err(io::Error::other(format!("unexpected {other:?}"))),
            }
        }
        Err(io::Error::other("only heartbeats, no answer"))
    }

    /// Reads once into `scratch`, behind what an earlier read left over. Returns all bytes not yet taken, or `None`
    /// when nothing new came. The caller hands what it cannot use back through [`Self::keep`].
    ///
    /// # Errors
    /// Any failure of the socket; the peer closing is one.
    #[inline]
    pub(crate) fn read<'s>(&mut self, scratch: &'s mut [u8]) -> io::Result<Option<&'s [u8]>> {
        let kept = self.partial.len();
        if kept >= scratch.len() {
            return Err(io::Error::other("frame larger than the receive buffer"));
        }
        scratch[..kept].copy_from_slice(&self.partial);
        let count = match self.stream.read(&mut scratch[kept..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if would_block(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        self.partial.clear();
        Ok(Some(&scratch[..kept + count]))
    }

    /// Keeps the start of an incomplete frame for the next read.
    #[inline]
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.partial.extend_from_slice(rest);
    }

    /// Writes what the socket takes now and returns how much that was.
    ///
    /// # Errors
    /// Any failure of the socket.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let offered = bytes.len();
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(offered - bytes.len())
    }

    /// For registration with epoll.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
