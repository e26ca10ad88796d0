//! A vector with stable indices.

/// Values under numbers. A number that becomes free is given again only after the round: events for its last value may
/// still come.
pub(super) struct Slots<T> {
    pub(super) places: Vec<Option<Box<T>>>,
    free: Vec<usize>,
    freed: Vec<usize>,
    pub(super) count: usize,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), freed: Vec::new(), count: 0 }
    }
}

impl<T> Slots<T> {
    pub(super) fn put(&mut self, value: T) -> usize {
        self.count += 1;
        match self.free.pop() {
            Some(index) => {
                self.places[index] = Some(Box::new(value));
                index
            }
            None => {
                self.places.push(Some(Box::new(value)));
                self.places.len() - 1
            }
        }
    }

    pub(super) fn get(&mut self, index: usize) -> Option<&mut T> {
        self.places.get_mut(index)?.as_deref_mut()
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<Box<T>> {
        let removed = self.places.get_mut(index)?.take()?;
        self.count -= 1;
        self.freed.push(index);
        Some(removed)
    }

    /// Ends a round.
    pub(super) fn settle(&mut self) {
        self.free.append(&mut self.freed);
    }

    /// Frees its memory if it is empty.
    pub(super) fn rest(&mut self) {
        if self.count == 0 {
            *self = Self::default();
        }
    }
}
