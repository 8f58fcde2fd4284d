//! Memory for the rings: equal blocks out of chunks, never more than a bound.

use super::ring::LANE_FLOATS;

/// Metrics in a block; a series with more takes several blocks.
pub const LANES: usize = 2;
/// Floats of a block.
pub const BLOCK_FLOATS: usize = LANES * LANE_FLOATS;
/// Bytes of a block.
pub const BLOCK_BYTES: usize = BLOCK_FLOATS * size_of::<f32>();
/// Blocks that are allocated at once: 60 KiB, so that a small cluster pays kilobytes.
const CHUNK_BLOCKS: usize = 64;

/// A block of the arena that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId(u32);

/// All blocks. What is given back is used again; chunks stay until the end.
pub struct Arena {
    chunks: Vec<Box<[f32]>>,
    free: Vec<u32>,
    blocks_max: usize,
    used: usize,
}

impl Arena {
    /// An arena that never holds more than `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Arena { chunks: Vec::new(), free: Vec::new(), blocks_max: bytes_max / BLOCK_BYTES, used: 0 }
    }

    /// A block full of gaps, or none if the bound is reached.
    pub fn take(&mut self) -> Option<BlockId> {
        if self.free.is_empty() {
            let first = self.chunks.len() * CHUNK_BLOCKS;
            let count = CHUNK_BLOCKS.min(self.blocks_max.saturating_sub(first));
            if count == 0 {
                return None;
            }
            self.chunks.push(vec![f32::NAN; count * BLOCK_FLOATS].into_boxed_slice());
            let first = u32::try_from(first).ok()?;
            self.free.extend((first..first + count as u32).rev());
        }
        let id = self.free.pop()?;
        self.used += 1;
        self.block_mut(BlockId(id)).fill(f32::NAN);
        Some(BlockId(id))
    }

    /// Gives a block back.
    pub fn give_back(&mut self, block: BlockId) {
        self.used -= 1;
        self.free.push(block.0);
    }

    fn place(block: BlockId) -> (usize, usize) {
        let index = block.0 as usize;
        (index / CHUNK_BLOCKS, index % CHUNK_BLOCKS * BLOCK_FLOATS)
    }

    /// One metric of a block.
    pub fn lane(&self, block: BlockId, lane: usize) -> &[f32] {
        let (chunk, at) = Self::place(block);
        &self.chunks[chunk][at + lane * LANE_FLOATS..][..LANE_FLOATS]
    }

    /// One metric of a block, to write.
    pub fn lane_mut(&mut self, block: BlockId, lane: usize) -> &mut [f32] {
        let (chunk, at) = Self::place(block);
        &mut self.chunks[chunk][at + lane * LANE_FLOATS..][..LANE_FLOATS]
    }

    fn block_mut(&mut self, block: BlockId) -> &mut [f32] {
        let (chunk, at) = Self::place(block);
        &mut self.chunks[chunk][at..][..BLOCK_FLOATS]
    }

    /// Blocks in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes held, used or not.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| size_of_val(&**chunk)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_what_is_given_back_is_used_again() {
        let mut arena = Arena::new(100 * BLOCK_BYTES + 17);
        let blocks: Vec<_> = std::iter::from_fn(|| arena.take()).collect();
        assert_eq!(blocks.len(), 100);
        assert_eq!(arena.bytes(), 100 * BLOCK_BYTES);
        arena.lane_mut(blocks[7], 1)[3] = 5.0;
        arena.give_back(blocks[7]);
        let again = arena.take().expect("a free block");
        assert_eq!(again, blocks[7]);
        assert!(arena.lane(again, 1).iter().all(|v| v.is_nan()), "a block begins empty");
        assert!(arena.take().is_none());
    }

    #[test]
    fn blocks_do_not_overlap() {
        let mut arena = Arena::new(1 << 20);
        let blocks: Vec<_> = (0..200).map(|_| arena.take().expect("room for 200")).collect();
        for (number, &block) in blocks.iter().enumerate() {
            arena.block_mut(block).fill(number as f32);
        }
        for (number, &block) in blocks.iter().enumerate() {
            assert!((0..LANES).all(|lane| arena.lane(block, lane).iter().all(|&v| v == number as f32)));
        }
    }
}
