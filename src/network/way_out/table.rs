//! Things at fixed places, found by their keys too.

use std::collections::HashMap;

/// The most things of a table.
const MOST: usize = 16 * 1024;

/// Things at fixed places, each found by its key too.
pub(super) struct Table<K, V> {
    places: Vec<Option<V>>,
    free: Vec<usize>,
    by_key: HashMap<K, usize>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), by_key: HashMap::new() }
    }
}

impl<K: std::hash::Hash + Eq, V> Table<K, V> {
    pub(super) fn find(&self, key: &K) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub(super) fn get(&mut self, index: usize) -> Option<&mut V> {
        self.places.get_mut(index)?.as_mut()
    }

    pub(super) fn add(&mut self, key: K, value: V) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(index) {
            *place = Some(value);
        }
        self.by_key.insert(key, index);
        index
    }

    pub(super) fn remove(&mut self, index: usize, key: &K) -> Option<V> {
        let value = self.places.get_mut(index)?.take()?;
        self.by_key.remove(key);
        self.free.push(index);
        Some(value)
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_key.len() >= MOST
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.places.iter().flatten()
    }

    /// Returns the places of what is so.
    pub(super) fn places_of(&self, is_so: impl Fn(&V) -> bool) -> Vec<usize> {
        let all = self.places.iter().enumerate();
        all.filter(|(_, place)| place.as_ref().is_some_and(&is_so)).map(|(index, _)| index).collect()
    }
}
