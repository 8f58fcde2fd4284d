//! Log lines about clients, in NSQ's words. A client causes them as often as it likes: each address has its limit.

use std::io;

use nsq_flags::log::RateLimit;
use nsq_flags::{errno_text, error, info, rate_limited};
use nsq_protocol::WireError;

use crate::client::connection::Connection;
use crate::client::stage::Reason;

/// Connections come and go by the hundred where a fleet is rolled out: those are all seen, a flood is not.
const BURST: u64 = 1_000;
const PER_SECOND: u64 = 100;

/// Lines of all clients of an address are limited together.
fn host(connection: &Connection) -> &str {
    connection.remote_address.rsplit_once(':').map_or(&*connection.remote_address, |(host, _)| host)
}

pub(super) fn connected(connection: &Connection) {
    static LIMIT: RateLimit = RateLimit::with(BURST, PER_SECOND);
    if let Some(withheld) = LIMIT.admit(&host(connection)) {
        info!("TCP: new client({}){withheld}", connection.remote_address);
    }
}

/// What it says of itself: the line that leads from an address to a name.
pub(super) fn identified(connection: &Connection) {
    static LIMIT: RateLimit = RateLimit::with(BURST, PER_SECOND);
    if let Some(withheld) = LIMIT.admit(&host(connection)) {
        let identity = connection.session.identity();
        info!(
            "[{}] IDENTIFY: {{ClientID:{} Hostname:{} UserAgent:{}}}{withheld}",
            connection.remote_address, identity.client_id, identity.hostname, identity.user_agent
        );
    }
}

/// It was answered with an error.
pub(super) fn refused(connection: &Connection, error: &WireError) {
    let text = error.payload();
    let text = String::from_utf8_lossy(&text);
    rate_limited!(error, host(connection), "[{}] - {text}", connection.remote_address);
}

/// Its connection ends. Where that is not its own doing or an operator's, it is an error.
pub(super) fn closed(connection: &Connection, reason: Reason) {
    static LIMIT: RateLimit = RateLimit::with(BURST, PER_SECOND);
    let Some(withheld) = LIMIT.admit(&host(connection)) else { return };
    let address = &connection.remote_address;
    let text = reason.text();
    match reason {
        Reason::EndOfInput | Reason::LastCommand | Reason::ChannelDeleted | Reason::Stop => {
            info!("PROTOCOL(V2): [{address}] exiting ioloop - {text}{withheld}");
        }
        Reason::Failed => {
            let why = errno_text(&io::Error::from_raw_os_error(connection.errno));
            error!("client({address}) - failed to read command - {text}: {why}{withheld}");
        }
        Reason::NoMagic => {
            error!("client({address}) - failed to read protocol version - i/o timeout: {text}{withheld}");
        }
        Reason::Silent => {
            error!("client({address}) - failed to read command - i/o timeout: {text}{withheld}")
        }
        Reason::TakesNothing => error!("client({address}) - failed to send - i/o timeout: {text}{withheld}"),
        Reason::NotMoved => error!("client({address}) - {text}{withheld}"),
    }
}
