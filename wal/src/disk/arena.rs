//! Aligned memory that the disk, the log and every consumer share.
//!
//! A frame is carved from an arena, filled from front to back and sealed. Bytes behind the write position belong
//! to the log alone; bytes before it are never written again, but for the 64 bytes of the frame's header, which
//! nobody else can reach until the frame is sealed. That is why slices of messages may be handed out while their
//! frame is still open, and why the disk can read a sealed frame for as long as it likes.
//!
//! This is the only unsafe code of the crate.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use bytes::Bytes;

use crate::limits::{ARENA_BYTES, ARENA_SPARE_COUNT_MAX, BLOCK_BYTES, FRAME_HEADER_BYTES};

/// A block-aligned, zeroed allocation. Who may write where is decided by its owners: [`Arena`] and
/// [`UnsealedFrame`] write disjoint ranges, [`FrameSlice`] reads ranges that neither writes any more.
#[derive(Debug)]
struct Memory {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: `Memory` is plain bytes without thread affinity; all access goes through the owners below, which never
// write a byte that another one can read.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Panics if `len` is 0, and aborts if there is no memory.
    fn new(len: usize) -> Memory {
        assert!(len > 0, "invariant: memory of no bytes is never asked for");
        let len = len.next_multiple_of(BLOCK_BYTES);
        let layout = Memory::layout(len);
        // SAFETY: the layout has a size above 0.
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { handle_alloc_error(layout) };
        Memory { start, len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, BLOCK_BYTES)
            .expect("invariant: lengths are bounded far below isize::MAX")
    }

    /// # Safety
    /// Nobody writes to `range` while the result lives. `range` is checked here.
    unsafe fn read(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: in bounds and initialised (zeroed at birth); not written by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.end - range.start) }
    }

    /// # Safety
    /// Nobody else reads or writes `at..at + bytes.len()` meanwhile. The range is checked here.
    unsafe fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at <= self.len && bytes.len() <= self.len - at);
        // SAFETY: in bounds; `bytes` is another allocation or a range that does not overlap, since nobody else
        // holds this one.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.as_ptr().add(at), bytes.len());
        }
    }

    /// # Safety
    /// As [`Memory::write`].
    unsafe fn zero(&self, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: in bounds; exclusive by the caller's promise.
        unsafe { self.start.as_ptr().add(range.start).write_bytes(0, range.end - range.start) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout; the last owner is gone.
        unsafe { dealloc(self.start.as_ptr(), Memory::layout(self.len)) }
    }
}

/// The log's end of an arena: exclusive owner of everything at and behind the write position.
#[derive(Debug)]
pub(crate) struct Arena {
    memory: Arc<Memory>,
    frame_start: usize,
    cursor: usize,
}

impl Arena {
    /// Bytes that still fit behind the write position.
    pub(crate) fn room(&self) -> usize {
        self.memory.len - self.cursor
    }

    /// Starts a frame at the write position. False if not even the header and one byte fit.
    pub(crate) fn begin_frame(&mut self) -> bool {
        debug_assert_eq!(self.cursor % BLOCK_BYTES, 0);
        if self.room() <= FRAME_HEADER_BYTES {
            return false;
        }
        self.frame_start = self.cursor;
        self.cursor += FRAME_HEADER_BYTES;
        true
    }

    /// Write position, from the frame's start.
    pub(crate) fn position(&self) -> usize {
        self.cursor - self.frame_start
    }

    /// Appends to the open frame. Panics if there is no room: the log reserves before it writes.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        // SAFETY: bytes at and behind the cursor are reachable through this `Arena` alone: slices are given out
        // only below it.
        unsafe { self.memory.write(self.cursor, bytes) };
        self.cursor += bytes.len();
    }

    /// What was appended at `range`, from the frame's start.
    pub(crate) fn appended(&self, range: Range<usize>) -> &[u8] {
        let range = self.checked(range);
        // SAFETY: below the cursor and behind the header: never written again.
        unsafe { self.memory.read(range) }
    }

    /// Hands out what was appended at `range`, from the frame's start.
    pub(crate) fn share(&self, range: Range<usize>) -> FrameSlice {
        let range = self.checked(range);
        FrameSlice { memory: Arc::clone(&self.memory), range }
    }

    fn checked(&self, range: Range<usize>) -> Range<usize> {
        assert!(
            range.start >= FRAME_HEADER_BYTES && range.start <= range.end && range.end <= self.position()
        );
        self.frame_start + range.start..self.frame_start + range.end
    }

    /// Pads the open frame to the block and closes it. Its header is still to be written.
    pub(crate) fn close_frame(&mut self) -> UnsealedFrame {
        let end = self.cursor.next_multiple_of(BLOCK_BYTES);
        // SAFETY: at and behind the cursor, exclusive as in `append`; arenas are a multiple of the block.
        unsafe { self.memory.zero(self.cursor..end) };
        self.cursor = end;
        UnsealedFrame { memory: Arc::clone(&self.memory), range: self.frame_start..end }
    }
}

/// A frame that is complete but for its header, which it alone may write.
#[derive(Debug)]
pub(crate) struct UnsealedFrame {
    memory: Arc<Memory>,
    range: Range<usize>,
}

impl UnsealedFrame {
    /// Bytes of the frame.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Hands out a range behind the header.
    pub(crate) fn share(&self, range: Range<usize>) -> FrameSlice {
        assert!(range.start >= FRAME_HEADER_BYTES && range.start <= range.end && range.end <= self.len());
        FrameSlice {
            memory: Arc::clone(&self.memory),
            range: self.range.start + range.start..self.range.start + range.end,
        }
    }

    /// Writes the header. From here on the frame does not change.
    pub(crate) fn seal(self, header: &[u8; FRAME_HEADER_BYTES]) -> FrameSlice {
        // SAFETY: no slice ever covered the header, and `self`, the only writer of it, is consumed.
        unsafe { self.memory.write(self.range.start, header) };
        FrameSlice { memory: self.memory, range: self.range }
    }
}

/// Immutable bytes of an arena or of a read buffer; keeps the memory alive. A whole frame is aligned in address
/// and length to [`BLOCK_BYTES`].
#[derive(Clone, Debug)]
pub struct FrameSlice {
    memory: Arc<Memory>,
    range: Range<usize>,
}

impl FrameSlice {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: a slice covers only bytes that are never written again (see `Arena::share`,
        // `UnsealedFrame::seal`, `ReadBuf::freeze`).
        unsafe { self.memory.read(self.range.clone()) }
    }

    /// Address of the first byte, for the kernel.
    pub fn as_ptr(&self) -> *const u8 {
        self.as_slice().as_ptr()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// True if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// A part of it. Panics if `range` is not within.
    pub fn slice(&self, range: Range<usize>) -> FrameSlice {
        assert!(range.start <= range.end && range.end <= self.len());
        let start = self.range.start;
        FrameSlice { memory: Arc::clone(&self.memory), range: start + range.start..start + range.end }
    }

    /// As `Bytes`, without a copy: one small allocation per call, so call it per run and not per message.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for FrameSlice {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

/// An aligned buffer with one owner: for reads, and for boot-time writes.
#[derive(Debug)]
pub struct ReadBuf {
    memory: Memory,
}

impl ReadBuf {
    /// Zeroed, at least one block, rounded up to blocks.
    pub fn new(len: usize) -> ReadBuf {
        ReadBuf { memory: Memory::new(len.max(1)) }
    }

    /// Address of the first byte, for the kernel.
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.memory.start.as_ptr()
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.memory.len
    }

    /// Never: a buffer has at least one block.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `self` is the only owner, and it is borrowed.
        unsafe { self.memory.read(0..self.memory.len) }
    }

    /// The bytes, to be filled.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `self` is the only owner, and it is borrowed mutably; all bytes are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start.as_ptr(), self.memory.len) }
    }

    /// Ends the writing: from here on the bytes are shared and immutable.
    pub fn freeze(self) -> FrameSlice {
        let len = self.memory.len;
        FrameSlice { memory: Arc::new(self.memory), range: 0..len }
    }
}

/// The arenas of one log. Consumers on other cores hold slices; an arena comes back when the last of them is
/// gone, which is noticed here, on the log's own thread, when the next arena is needed: no lock, no hand-over.
#[derive(Debug, Default)]
pub(crate) struct ArenaPool {
    all: Vec<Arc<Memory>>,
}

impl ArenaPool {
    /// An arena with room for at least `bytes`.
    pub(crate) fn take(&mut self, bytes: usize) -> Arena {
        let wanted = bytes.max(ARENA_BYTES).next_multiple_of(BLOCK_BYTES);
        self.trim(ARENA_SPARE_COUNT_MAX);
        let free = self.all.iter_mut().find_map(|memory| {
            let fits = memory.len >= wanted;
            (fits && Arc::get_mut(memory).is_some()).then(|| Arc::clone(memory))
        });
        let memory = free.unwrap_or_else(|| {
            let memory = Arc::new(Memory::new(wanted));
            self.all.push(Arc::clone(&memory));
            memory
        });
        Arena { memory, frame_start: 0, cursor: 0 }
    }

    /// Frees unused arenas beyond `keep_count`, and all unused ones of unusual size.
    pub(crate) fn trim(&mut self, keep_count: usize) {
        let mut kept = 0;
        self.all.retain_mut(|memory| {
            if Arc::get_mut(memory).is_none() {
                return true;
            }
            kept += usize::from(memory.len == ARENA_BYTES);
            memory.len == ARENA_BYTES && kept <= keep_count
        });
    }

    /// Bytes of all arenas, in use or not.
    pub(crate) fn bytes(&self) -> u64 {
        self.all.iter().map(|memory| memory.len as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_of_an_open_frame_stay_as_they_were() {
        let mut pool = ArenaPool::default();
        let mut arena = pool.take(1);
        assert!(arena.begin_frame());
        arena.append(b"first");
        let first = arena.share(64..69).into_bytes();
        arena.append(b"second");
        assert_eq!(arena.appended(64..75), b"firstsecond");
        let frame = arena.close_frame().seal(&[7; 64]);
        assert_eq!(frame.len(), BLOCK_BYTES);
        assert_eq!(frame.as_ptr() as usize % BLOCK_BYTES, 0);
        assert_eq!(&frame.as_slice()[..64], &[7; 64]);
        assert!(arena.begin_frame());
        arena.append(&[1; 100]);
        assert_eq!(&first[..], b"first");
        assert_eq!(&frame.as_slice()[64..75], b"firstsecond");
    }

    #[test]
    fn an_arena_comes_back_only_when_its_last_slice_is_gone() {
        let mut pool = ArenaPool::default();
        let mut arena = pool.take(1);
        arena.begin_frame();
        arena.append(b"x");
        let slice = arena.share(64..65);
        drop(arena);
        let other = pool.take(1);
        assert_eq!(pool.bytes(), 2 * ARENA_BYTES as u64);
        drop(slice);
        let again = pool.take(1);
        assert_eq!(pool.bytes(), 2 * ARENA_BYTES as u64);
        drop((other, again));
        pool.trim(0);
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn padding_of_a_recycled_arena_is_zero() {
        let mut pool = ArenaPool::default();
        let mut arena = pool.take(1);
        arena.begin_frame();
        arena.append(&[0xff; 8000]);
        drop(arena);
        let mut arena = pool.take(1);
        arena.begin_frame();
        arena.append(b"a");
        let frame = arena.close_frame().seal(&[0; 64]);
        assert!(frame.as_slice()[65..].iter().all(|b| *b == 0));
    }
}
