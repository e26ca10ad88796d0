//! Things at fixed places, found by their keys too.

use std::collections::HashMap;

/// The most things of a table.
const MOST: usize = 16 * 1024;

/// Things at fixed places, each found by its key too.
pub(in crate::network) struct Table<K, V> {
    places: Vec<Option<(K, V)>>,
    free: Vec<usize>,
    by_key: HashMap<K, usize>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), by_key: HashMap::new() }
    }
}

impl<K: Copy + std::hash::Hash + Eq, V> Table<K, V> {
    pub(in crate::network) fn find(&self, key: &K) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub(in crate::network) fn get(&mut self, index: usize) -> Option<&mut V> {
        self.places.get_mut(index)?.as_mut().map(|(_, value)| value)
    }

    pub(in crate::network) fn add(&mut self, key: K, value: V) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(index) {
            *place = Some((key, value));
        }
        self.by_key.insert(key, index);
        index
    }

    pub(in crate::network) fn remove(&mut self, index: usize) -> Option<(K, V)> {
        let removed = self.places.get_mut(index)?.take()?;
        self.by_key.remove(&removed.0);
        self.free.push(index);
        Some(removed)
    }

    pub(in crate::network) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(in crate::network) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(in crate::network) fn is_full(&self) -> bool {
        self.by_key.len() >= MOST
    }

    /// Returns all values. Costs nothing where there are none, however many there were.
    pub(in crate::network) fn values(&self) -> impl Iterator<Item = &V> {
        let places = if self.is_empty() { &[] } else { self.places.as_slice() };
        places.iter().flatten().map(|(_, value)| value)
    }

    /// Returns the places whose value meets a condition.
    pub(in crate::network) fn places_of(&self, is_so: impl Fn(&V) -> bool) -> Vec<usize> {
        let places = if self.is_empty() { &[] } else { self.places.as_slice() };
        let meets = |place: &Option<(K, V)>| place.as_ref().is_some_and(|(_, value)| is_so(value));
        places.iter().enumerate().filter(|(_, place)| meets(place)).map(|(index, _)| index).collect()
    }
}
