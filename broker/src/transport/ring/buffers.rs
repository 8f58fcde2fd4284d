//! Receive buffers that the kernel picks from itself.
//!
//! ```text
//!   entries  [addr,len,id | addr,len,id | … ]   page-aligned; the tail lives in the first entry's spare field
//!   data     [ 16 KiB | 16 KiB | … ]
//! ```
//!
//! A buffer is either in the ring (the kernel's) or out of it (ours, from the completion that names it until it is
//! given back). Buffers given back during a turn become visible to the kernel together, by one store of the tail.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use super::super::memory::PageBuffer;
use super::super::{CHUNK_BYTES, Chunk, ChunkOwner};

/// The only group of buffers of a ring.
pub(super) const GROUP: u16 = 0;

/// The kernel's limit.
const COUNT_MAX: u16 = 1 << 15;

pub(super) struct Buffers {
    entries: PageBuffer,
    data: PageBuffer,
    owner: ChunkOwner,
    count: u16,
    tail: u16,
    published: u16,
    /// Buffers out of the ring, or in it and not published yet.
    lent: u16,
}

impl Buffers {
    /// Registers `count` buffers with the ring. They must outlive it; see `RingTransport`'s teardown.
    pub(super) fn register(ring: &IoUring, count: u16) -> io::Result<Self> {
        if !count.is_power_of_two() || count > COUNT_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "buffer_count is no power of two"));
        }
        let entries = PageBuffer::new(usize::from(count) * size_of::<BufRingEntry>())?;
        let data = PageBuffer::new(usize::from(count) * CHUNK_BYTES)?;
        let owner = ChunkOwner::new();
        let mut buffers = Self { entries, data, owner, count, tail: 0, published: 0, lent: count };
        for buffer in 0..count {
            buffers.give_back(buffer);
        }
        let address = buffers.entries.address() as u64;
        // SAFETY: the entries are page-aligned, of the registered number, and live until the ring's end: both belong
        // to one `RingTransport`, which unregisters them by closing the ring before it frees them.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, count, GROUP, 0)? };
        buffers.publish();
        Ok(buffers)
    }

    /// Buffers that the kernel can use now, as far as we have heard.
    pub(super) fn available(&self) -> usize {
        usize::from(self.count - self.lent)
    }

    /// The kernel has filled `buffer` with `size` bytes: it is ours.
    pub(super) fn take(&mut self, buffer: u16, size: usize) -> Chunk {
        assert!(buffer < self.count && size <= CHUNK_BYTES, "invariant: the kernel knows its buffers");
        self.lent += 1;
        self.owner.chunk(buffer, size as u32)
    }

    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        let buffer = self.owner.buffer(chunk);
        let start = usize::from(buffer) * CHUNK_BYTES;
        let size = chunk.len();
        assert!(buffer < self.count && size <= CHUNK_BYTES);
        // SAFETY: within the mapping by the assertion. The chunk exists, so the buffer is out of the ring and the
        // kernel does not write to it; a slice over the whole mapping would cover buffers that it does write to.
        unsafe { std::slice::from_raw_parts(self.data.address().add(start), size) }
    }

    /// Takes a chunk's buffer back.
    pub(super) fn release(&mut self, chunk: Chunk) {
        self.give_back(self.owner.buffer(&chunk));
    }

    /// Puts a buffer into the ring; the kernel sees it after [`Buffers::publish`].
    fn give_back(&mut self, buffer: u16) {
        assert!(buffer < self.count && self.lent > 0, "invariant: only lent buffers come back");
        self.lent -= 1;
        let place = usize::from(self.tail & (self.count - 1));
        let address = self.data.address() as u64 + (usize::from(buffer) * CHUNK_BYTES) as u64;
        let entries: *mut BufRingEntry = self.entries.address().cast();
        // SAFETY: `place` is below the number of entries, all bit patterns are valid entries, and the kernel does not
        // look at places from the published tail on. The setters leave the tail in the first entry alone.
        let entry = unsafe { &mut *entries.add(place) };
        entry.set_addr(address);
        entry.set_len(CHUNK_BYTES as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Leaves the memory to the kernel for ever.
    pub(super) fn leak(&mut self) {
        self.entries.leak();
        self.data.leak();
    }

    /// Shows the kernel what has been given back.
    pub(super) fn publish(&mut self) {
        if self.published == self.tail {
            return;
        }
        self.published = self.tail;
        let entries: *const BufRingEntry = self.entries.address().cast_const().cast();
        // SAFETY: the address is that of the ring's first entry, whose spare field is the tail; it is 2-aligned, and
        // the kernel only reads it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl std::fmt::Debug for Buffers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffers({} of {} available)", self.available(), self.count)
    }
}
