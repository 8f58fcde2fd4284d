//! The content of a file, in pages that copies of the disk share.

use std::sync::Arc;

use crate::limits::BLOCK_BYTES;

type Page = [u8; BLOCK_BYTES];

/// Bytes of a fixed length. A page that was never written is all zeros and takes no memory; a copy costs a pointer
/// per page.
#[derive(Clone, Debug, Default)]
pub(super) struct Pages {
    pages: Vec<Option<Arc<Page>>>,
    len: usize,
}

impl Pages {
    /// So many zeros.
    pub(super) fn zeroed(len: usize) -> Pages {
        Pages { pages: vec![None; len.div_ceil(BLOCK_BYTES)], len }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Pages {
        let mut pages = Pages::zeroed(bytes.len());
        pages.write(0, bytes);
        pages
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(0, &mut bytes);
        bytes
    }

    /// Fills `into` from `offset`; panics beyond the end.
    pub(super) fn read(&self, offset: usize, into: &mut [u8]) {
        assert!(offset + into.len() <= self.len, "a read beyond the end");
        Self::split(offset, into.len(), |index, within, at, len| match &self.pages[index] {
            Some(page) => into[at..at + len].copy_from_slice(&page[within..within + len]),
            None => into[at..at + len].fill(0),
        });
    }

    /// Replaces the bytes at `offset`; panics beyond the end.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.len, "a write beyond the end");
        let pages = &mut self.pages;
        Self::split(offset, bytes.len(), |index, within, at, len| {
            let page = pages[index].get_or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
            Arc::make_mut(page)[within..within + len].copy_from_slice(&bytes[at..at + len]);
        });
    }

    /// Takes a range over from another file of the same length.
    pub(super) fn copy_from(&mut self, from: &Pages, offset: usize, len: usize) {
        Self::split(offset, len, |index, within, _, len| {
            if len == BLOCK_BYTES {
                self.pages[index] = from.pages[index].clone();
                return;
            }
            let page = self.pages[index].get_or_insert_with(|| Arc::new([0; BLOCK_BYTES]));
            let target = &mut Arc::make_mut(page)[within..within + len];
            match &from.pages[index] {
                Some(page) => target.copy_from_slice(&page[within..within + len]),
                None => target.fill(0),
            }
        });
    }

    /// Calls `part` with page, place in the page, place in the range and length, for each page that is touched.
    fn split(offset: usize, len: usize, mut part: impl FnMut(usize, usize, usize, usize)) {
        let mut at = 0;
        while at < len {
            let (index, within) = ((offset + at) / BLOCK_BYTES, (offset + at) % BLOCK_BYTES);
            let size = (BLOCK_BYTES - within).min(len - at);
            part(index, within, at, size);
            at += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_pages_until_one_of_them_is_written() {
        let mut one = Pages::zeroed(10_000);
        one.write(4_090, &[7; 20]);
        let mut two = one.clone();
        two.write(4_095, &[9; 2]);
        assert_eq!(one.to_bytes()[4_094..4_098], [7, 7, 7, 7]);
        assert_eq!(two.to_bytes()[4_094..4_098], [7, 9, 9, 7]);
        one.copy_from(&two, 4_096, 1);
        assert_eq!(one.to_bytes()[4_094..4_098], [7, 7, 9, 7]);
        one.copy_from(&two, 0, 4_096);
        assert_eq!(one.to_bytes(), two.to_bytes());
    }
}
