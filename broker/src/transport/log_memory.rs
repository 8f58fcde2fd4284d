//! The log's buffers as memory of file operations. Both keep the file open until the operation is over.

use std::sync::Arc;

use nsq_wal::{FrameSlice, LogFile, ReadBuf};

use super::IoBuffer;

/// A sealed frame on its way to the disk.
pub struct FrameMemory {
    /// The bytes: immutable from now on, kept alive by reference count.
    pub frame: FrameSlice,
    /// Where they go.
    pub file: Arc<dyn LogFile>,
}

/// A block of the log on its way back.
pub struct ReadMemory {
    /// Where the bytes go.
    pub buffer: ReadBuf,
    /// Where they come from.
    pub file: Arc<dyn LogFile>,
}

// SAFETY: a frame slice points into a reference-counted arena that it keeps alive; moving the slice does not move
// the arena, and nobody writes to a sealed frame. It gives no address for reading into.
unsafe impl IoBuffer for FrameMemory {
    fn as_ptr(&self) -> *const u8 {
        self.frame.as_ptr()
    }

    fn as_mut_ptr(&mut self) -> Option<*mut u8> {
        None
    }

    fn len(&self) -> usize {
        self.frame.len()
    }
}

// SAFETY: a read buffer owns its heap memory alone, which is initialised and stays where it is when the value moves.
unsafe impl IoBuffer for ReadMemory {
    fn as_ptr(&self) -> *const u8 {
        self.buffer.as_slice().as_ptr()
    }

    fn as_mut_ptr(&mut self) -> Option<*mut u8> {
        Some(self.buffer.as_mut_ptr())
    }

    fn len(&self) -> usize {
        self.buffer.len()
    }
}
