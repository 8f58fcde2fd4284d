//! Whose series gives way when memory is full.

use super::Key;

/// The order of one tick, made when it is first needed.
#[derive(Default)]
pub(super) struct Victims {
    made: Option<Vec<(Key, bool)>>,
}

impl Victims {
    /// The next to give way to `newcomer`: any of a lesser kind, or an idle one of the same kind.
    pub(super) fn next(
        &mut self,
        newcomer: Key,
        candidates: impl FnOnce() -> Vec<(Key, bool)>,
    ) -> Option<Key> {
        let made = self.made.get_or_insert_with(|| {
            let mut all = candidates();
            // Taken from the end: the least kind first, of these the idle ones.
            all.sort_unstable_by_key(|&(key, idle)| (key.kind(), idle, key));
            all
        });
        let &(key, idle) = made.last()?;
        let gives_way = key.kind() > newcomer.kind() || (idle && key.kind() == newcomer.kind());
        gives_way.then(|| made.pop())?.map(|(key, _)| key)
    }
}
