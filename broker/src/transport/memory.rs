//! Memory that the kernel works on while nobody else may.

use std::fmt;
use std::io;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Zeroed, page-aligned memory straight from the kernel. Pages become resident when touched.
pub(super) struct PageBuffer {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to this value alone, and is not tied to the thread that made it.
unsafe impl Send for PageBuffer {}

impl PageBuffer {
    /// Maps `size` bytes; 0 is taken as 1. Fails when the kernel has no memory to give.
    pub(super) fn new(size: usize) -> io::Result<Self> {
        let size = size.max(1);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing.
        let start =
            unsafe { mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, flags)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, size })
    }

    pub(super) fn address(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Forgets the mapping: nobody unmaps it any more, and nothing of it can be seen through this value.
    pub(super) fn leak(&mut self) {
        self.size = 0;
    }
}

impl std::ops::Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is readable, initialised by the kernel, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.size) }
    }
}

impl std::ops::DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes it the only view.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.size) }
    }
}

impl fmt::Debug for PageBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageBuffer({} bytes)", self.size)
    }
}

impl Drop for PageBuffer {
    fn drop(&mut self) {
        if self.size == 0 {
            return;
        }
        // SAFETY: the mapping was made by `new` with this size, and every view borrowed from `self` is gone. A
        // failure would mean a wrong address or size; there is nothing to be done about it here.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_aligned_and_zeroed() {
        let mut pages = PageBuffer::new(10_000).unwrap();
        assert_eq!(pages.as_ptr() as usize % 4096, 0);
        assert!(pages.iter().all(|byte| *byte == 0));
        pages[9_999] = 7;
        assert_eq!(pages[9_999], 7);
    }
}
