//! One TCP connection to an nsqlookupd: commands out, replies in, each within its time.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::TcpStream;
use nsq_protocol::lookup::{self, PeerInfo, Registrant, ReplyTooBig};

use crate::lookup::dial::{self, within};
use crate::lookup::limits::{CONNECT_TIMEOUT, LOGGED_BYTES_MAX, REPLY_TIMEOUT, WRITE_TIMEOUT};

/// Bytes read at once. Replies are a few bytes each.
const READ_BYTES: usize = 4096;

/// Why a peer is given up until the next PING or change.
#[derive(Debug)]
#[non_exhaustive]
pub(super) enum PeerError {
    /// The configured address cannot be understood.
    Address(nsq_flags::address::AddressError),
    /// Its name could not be looked up.
    Resolve(io::Error),
    /// No connection.
    Connect(io::Error),
    /// Commands could not be sent.
    Write(io::Error),
    /// A reply did not come.
    Read(io::Error),
    /// The peer closed the connection.
    Closed,
    /// A reply is announced larger than `--max-body-size`.
    ReplyTooBig(u32),
    /// The reply to IDENTIFY is no description of the peer, as every error reply is not.
    NotIdentified(String),
    /// The peer speaks without being asked, so no reply can be told from another any more.
    Unasked,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerError::Address(error) => write!(f, "{error}"),
            PeerError::Resolve(error) => write!(f, "failed to look up its name - {error}"),
            PeerError::Connect(error) => write!(f, "failed to connect - {error}"),
            PeerError::Write(error) => write!(f, "failed to send - {error}"),
            PeerError::Read(error) => write!(f, "failed to read a reply - {error}"),
            PeerError::Closed => f.write_str("the connection was closed"),
            PeerError::ReplyTooBig(size) => {
                write!(f, "a reply of {size} bytes is larger than --max-body-size")
            }
            PeerError::NotIdentified(reply) => write!(f, "IDENTIFY was answered with {reply}"),
            PeerError::Unasked => f.write_str("it sent something that nobody asked for"),
        }
    }
}

impl std::error::Error for PeerError {}

impl PeerError {
    /// Whether an open connection has ended without any sign that the peer minds what it was told.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            PeerError::Closed => true,
            PeerError::Write(error) | PeerError::Read(error) => error.kind() != io::ErrorKind::TimedOut,
            _ => false,
        }
    }
}

impl From<ReplyTooBig> for PeerError {
    fn from(ReplyTooBig(size): ReplyTooBig) -> Self {
        PeerError::ReplyTooBig(size)
    }
}

/// An open connection. Dropping it closes it; after any error nothing else is possible.
#[derive(Debug)]
pub(super) struct Conversation {
    stream: TcpStream,
    /// Bytes that came and belong to replies not read yet. Bounded by `reply_size_max` and one read.
    input: Vec<u8>,
    reply_size_max: u32,
}

impl Conversation {
    /// Connects; nothing is said yet.
    ///
    /// # Errors
    /// [`PeerError::Connect`].
    pub(super) async fn connect(addresses: &[SocketAddr], reply_size_max: u32) -> Result<Self, PeerError> {
        let stream = dial::connect(addresses, CONNECT_TIMEOUT).await.map_err(PeerError::Connect)?;
        Ok(Self { stream, input: Vec::new(), reply_size_max })
    }

    /// Opens the conversation and tells who we are.
    ///
    /// # Errors
    /// Those of the connection, and [`PeerError::NotIdentified`].
    pub(super) async fn identify(&mut self, registrant: &Registrant<'_>) -> Result<PeerInfo, PeerError> {
        let mut out = lookup::MAGIC_V1.to_vec();
        lookup::encode_identify(&mut out, registrant);
        self.send(&out).await?;
        let reply = self.reply().await?;
        lookup::decode_peer_info(&reply).map_err(|_| PeerError::NotIdentified(quote(&reply)))
    }

    /// Sends commands that were encoded one behind the other.
    ///
    /// # Errors
    /// [`PeerError::Write`]; some of the bytes may have gone.
    pub(super) async fn send(&mut self, commands: &[u8]) -> Result<(), PeerError> {
        within(WRITE_TIMEOUT, self.stream.write_all(commands)).await.map_err(PeerError::Write)
    }

    /// The next reply's payload.
    ///
    /// # Errors
    /// Those of the connection; a reply that is too large is refused before it is collected.
    pub(super) async fn reply(&mut self) -> Result<Vec<u8>, PeerError> {
        // The whole reply has one deadline, and not each read of it: drop by drop, five MiB would take years.
        let mut outcome = Ok(Vec::new());
        within(REPLY_TIMEOUT, async {
            outcome = self.read_reply().await;
            Ok(())
        })
        .await
        .map_err(PeerError::Read)?;
        outcome
    }

    async fn read_reply(&mut self) -> Result<Vec<u8>, PeerError> {
        loop {
            if let Some((payload, used)) = lookup::decode_reply(&self.input, self.reply_size_max)? {
                let payload = payload.to_vec();
                self.input.drain(..used);
                return Ok(payload);
            }
            let mut chunk = [0; READ_BYTES];
            match self.stream.read(&mut chunk).await {
                Ok(0) => return Err(PeerError::Closed),
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) => return Err(PeerError::Read(error)),
            }
        }
    }

    /// Waits, between commands, until the connection is lost. Giving up waiting loses nothing.
    pub(super) async fn lost(&mut self) -> PeerError {
        if !self.input.is_empty() {
            return PeerError::Unasked;
        }
        match self.stream.read(&mut [0]).await {
            Ok(0) => PeerError::Closed,
            Ok(_) => PeerError::Unasked,
            Err(error) => PeerError::Read(error),
        }
    }
}

/// A peer's bytes, as a log line may show them.
pub(super) fn quote(reply: &[u8]) -> String {
    let shown = &reply[..reply.len().min(LOGGED_BYTES_MAX)];
    format!("\"{}\"", shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_reply_is_one_short_line() {
        assert_eq!(quote(b"E_INVALID \"x\"\n"), r#""E_INVALID \"x\"\n""#);
        assert_eq!(quote(&[b'x'; 1000]).len(), LOGGED_BYTES_MAX + 2);
    }
}
