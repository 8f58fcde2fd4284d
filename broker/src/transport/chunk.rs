//! Received bytes on their way to the caller.

use std::marker::PhantomData;

/// Received bytes in a buffer of the transport. Read them with [`Transport::chunk`](super::Transport::chunk), then give
/// the buffer back with [`Transport::release`](super::Transport::release); a chunk that is dropped takes its buffer
/// along. Stays on its core.
#[derive(Debug)]
#[must_use = "its buffer must be given back with Transport::release"]
pub struct Chunk {
    buffer: u16,
    size: u32,
    #[cfg(debug_assertions)]
    owner: u32,
    /// Another core's transport would take it for one of its own.
    not_send: PhantomData<*const ()>,
}

impl Chunk {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.size as usize
    }

    /// True without any byte.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }
}

/// Makes the chunks of one transport, and in debug builds knows them from those of others.
#[derive(Debug)]
pub struct ChunkOwner(#[cfg(debug_assertions)] u32);

impl ChunkOwner {
    /// One that no other transport of the process has.
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        #[cfg(debug_assertions)]
        {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(0);
            Self(NEXT.fetch_add(1, Ordering::Relaxed))
        }
        #[cfg(not(debug_assertions))]
        Self()
    }

    /// The first `size` bytes of a buffer.
    pub fn chunk(&self, buffer: u16, size: u32) -> Chunk {
        Chunk {
            buffer,
            size,
            #[cfg(debug_assertions)]
            owner: self.0,
            not_send: PhantomData,
        }
    }

    /// The buffer of a chunk.
    ///
    /// # Panics
    ///
    /// In debug builds, when the chunk is another transport's.
    pub fn buffer(&self, chunk: &Chunk) -> u16 {
        #[cfg(debug_assertions)]
        assert_eq!(chunk.owner, self.0, "a chunk goes back to the transport that it came from");
        chunk.buffer
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_tells_its_bytes() {
        let owner = ChunkOwner::new();
        let chunk = owner.chunk(3, 7);
        assert_eq!((owner.buffer(&chunk), chunk.len(), chunk.is_empty()), (3, 7, false));
        assert!(owner.chunk(3, 0).is_empty());
    }

    #[test]
    #[should_panic(expected = "a chunk goes back to the transport that it came from")]
    fn a_chunk_of_another_transport_is_noticed() {
        let chunk = ChunkOwner::new().chunk(0, 1);
        ChunkOwner::new().buffer(&chunk);
    }
}
