//! Receive buffers, allocated when first needed.

use super::super::{CHUNK_BYTES, Chunk, ChunkOwner};

pub(super) struct Chunks {
    buffers: Vec<Box<[u8]>>,
    free: Vec<u16>,
    count_max: u16,
    owner: ChunkOwner,
}

impl Chunks {
    pub(super) fn new(count_max: u16) -> Self {
        Self { buffers: Vec::new(), free: Vec::new(), count_max, owner: ChunkOwner::new() }
    }

    pub(super) fn available(&self) -> usize {
        self.free.len() + usize::from(self.count_max) - self.buffers.len()
    }

    /// A buffer to fill.
    pub(super) fn take(&mut self) -> Option<u16> {
        if let Some(buffer) = self.free.pop() {
            return Some(buffer);
        }
        let buffer = u16::try_from(self.buffers.len()).ok().filter(|count| *count < self.count_max)?;
        self.buffers.push(vec![0; CHUNK_BYTES].into_boxed_slice());
        Some(buffer)
    }

    pub(super) fn whole(&mut self, buffer: u16) -> &mut [u8] {
        &mut self.buffers[usize::from(buffer)]
    }

    /// The first `size` bytes of a buffer that was taken.
    pub(super) fn chunk(&self, buffer: u16, size: usize) -> Chunk {
        self.owner.chunk(buffer, size as u32)
    }

    pub(super) fn bytes(&self, chunk: &Chunk) -> &[u8] {
        &self.buffers[usize::from(self.owner.buffer(chunk))][..chunk.len()]
    }

    pub(super) fn release(&mut self, chunk: Chunk) {
        self.give_back(self.owner.buffer(&chunk));
    }

    /// Puts back a buffer that was taken.
    pub(super) fn give_back(&mut self, buffer: u16) {
        debug_assert!(!self.free.contains(&buffer));
        self.free.push(buffer);
    }
}
