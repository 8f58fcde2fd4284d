//! What the ring's completions say about connections: one multishot receive and at most one send each.

use super::super::Slot;
use super::super::table::ReceiveEnd;
use super::RingTransport;

impl RingTransport {
    pub(super) fn sent(&mut self, slot: Slot, result: i32) {
        let result = if result < 0 { Err(-result) } else { Ok(result as usize) };
        self.table.sent(&mut self.kernel, slot, result);
    }

    /// A completion of the multishot receive. Without `more` it was the last one.
    pub(super) fn received(&mut self, slot: Slot, result: i32, buffer: Option<u16>, more: bool) {
        if let Some(buffer) = buffer {
            let chunk = self.kernel.buffers.take(buffer, result.max(0) as usize);
            self.table.received(&mut self.kernel, slot, chunk);
        }
        if more {
            return;
        }
        let end = match -result {
            // Data and the end of the multishot: it has received as much as it may, or completions overflowed.
            ..=-1 => ReceiveEnd::Over,
            0 => ReceiveEnd::Input,
            libc::ECANCELED | libc::EINTR | libc::EAGAIN => ReceiveEnd::Over,
            libc::ENOBUFS => ReceiveEnd::Starved,
            errno => ReceiveEnd::Failed(errno),
        };
        self.table.receive_ended(&mut self.kernel, slot, end);
    }
}
