//! Memory that the kernel works on while nobody else may.

use std::any::Any;
use std::fmt;
use std::io;
use std::ptr::NonNull;

use bytes::Bytes;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The bytes of one file operation, lent to the driver until it is over.
///
/// To get the concrete type back, upcast: `let any: Box<dyn Any> = buf; any.downcast::<PageBuffer>()`.
pub type IoBuf = Box<dyn IoBuffer>;

/// Memory with an address of its own.
///
/// # Safety
///
/// From now until the value is dropped, [`as_ptr`](IoBuffer::as_ptr) must return the same address of
/// [`len`](IoBuffer::len) initialised bytes, also after the value was moved. If
/// [`as_mut_ptr`](IoBuffer::as_mut_ptr) returns an address, it is that one, and nobody but the holder of the
/// value reads or writes there.
pub unsafe trait IoBuffer: Any + Send {
    /// First byte.
    fn as_ptr(&self) -> *const u8;

    /// First byte, if the memory may be read into.
    fn as_mut_ptr(&mut self) -> Option<*mut u8>;

    /// Length in bytes.
    fn len(&self) -> usize;

    /// True without any byte.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for dyn IoBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IoBuffer({} bytes)", self.len())
    }
}

// SAFETY: `Bytes` is a reference-counted view of immutable memory. The view keeps that memory, and moving the
// view does not move it. It gives no address for reading into.
unsafe impl IoBuffer for Bytes {
    fn as_ptr(&self) -> *const u8 {
        <[u8]>::as_ptr(self)
    }

    fn as_mut_ptr(&mut self) -> Option<*mut u8> {
        None
    }

    fn len(&self) -> usize {
        <[u8]>::len(self)
    }
}

/// Zeroed, page-aligned memory straight from the kernel; fit for `O_DIRECT`. Pages become resident when touched.
pub struct PageBuffer {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping belongs to this value alone, and is not tied to the thread that made it.
unsafe impl Send for PageBuffer {}

impl PageBuffer {
    /// Maps `size` bytes; 0 is taken as 1. Fails when the kernel has no memory to give.
    pub fn new(size: usize) -> io::Result<Self> {
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

// SAFETY: the mapping stays where it is until `drop`, is initialised, and has no other holder.
unsafe impl IoBuffer for PageBuffer {
    fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    fn as_mut_ptr(&mut self) -> Option<*mut u8> {
        Some(self.start.as_ptr())
    }

    fn len(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_aligned_zeroed_and_come_back_as_themselves() {
        let mut pages = PageBuffer::new(10_000).unwrap();
        assert_eq!(pages.as_ptr() as usize % 4096, 0);
        assert!(pages.iter().all(|byte| *byte == 0));
        pages[9_999] = 7;
        let boxed: IoBuf = Box::new(pages);
        let any: Box<dyn Any> = boxed;
        assert_eq!(any.downcast::<PageBuffer>().unwrap()[9_999], 7);
    }

    #[test]
    fn shared_bytes_cannot_be_read_into() {
        let mut bytes = Bytes::from_static(b"abc");
        assert_eq!(IoBuffer::as_mut_ptr(&mut bytes), None);
        assert_eq!(IoBuffer::len(&bytes), 3);
    }
}
