//! From completions to what they mean.

use io_uring::cqueue;

use super::super::Event;
use super::RingTransport;
use super::tokens::Token;

impl RingTransport {
    /// Takes up to `max` completions out of the ring and works on them. Returns how many there were.
    pub(super) fn reap(&mut self, max: usize) -> usize {
        let mut reaped = std::mem::take(&mut self.reaped);
        reaped.extend(self.kernel.ring.completion().take(max));
        let count = reaped.len();
        for entry in reaped.drain(..) {
            self.complete(&entry);
        }
        self.reaped = reaped;
        count
    }

    fn complete(&mut self, entry: &cqueue::Entry) {
        let result = entry.result();
        let more = cqueue::more(entry.flags());
        match Token::unpack(entry.user_data()) {
            Token::Accept(index) => self.accepted(index, result, more),
            Token::Receive(slot) => {
                self.received(slot, result, cqueue::buffer_select(entry.flags()), more);
            }
            Token::Send(slot) => self.sent(slot, result),
            Token::File(index) => self.file_done(index, result),
            Token::Timeout => self.armed_deadline = None,
            Token::Doorbell => self.table.report(Event::Doorbell),
            Token::Rang(core) => self.ring_again(core, result),
            Token::Nobody => {}
        }
    }

    /// A message to another core got lost because its completion queue was full. The core is awake then, but may
    /// have looked at its mail before; so it is rung again. A ring that is gone needs no bell.
    fn ring_again(&mut self, core: u32, result: i32) {
        use super::super::Transport;
        if matches!(-result, libc::EOVERFLOW | libc::ENOMEM | libc::EAGAIN | libc::EINTR) {
            self.ring_peer(core as usize);
        }
    }
}
