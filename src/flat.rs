//! Sorted maps and sets in vectors. The standard tree costs several kilobytes of code for every pair of types,
//! and a module that a phone loads at a gate counts them; with the bounded sizes here moving elements is cheap.

use std::vec::IntoIter;

/// A map from ordered, cheap keys, kept sorted. Keys and values lie apart, so that maps of the same keys share their
/// search, whatever they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatMap<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K, V> Default for FlatMap<K, V> {
    fn default() -> Self {
        Self { keys: Vec::new(), values: Vec::new() }
    }
}

impl<K: Ord, V> FlatMap<K, V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.values.get(place(&self.keys, key).ok()?)
    }

    /// The value of a key, to change.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(place(&self.keys, key).ok()?)
    }

    /// Whether a key is there.
    pub fn contains_key(&self, key: &K) -> bool {
        place(&self.keys, key).is_ok()
    }

    /// Sets the value of a key and gives the one it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match place(&self.keys, &key) {
            Ok(place) => self.values.get_mut(place).map(|own| core::mem::replace(own, value)),
            Err(place) => {
                self.keys.insert(place, key);
                self.values.insert(place, value);
                None
            }
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = place(&self.keys, key).ok()?;
        self.keys.remove(place);
        Some(self.values.remove(place))
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.keys.iter().zip(&self.values)
    }

    /// Keys, in order.
    pub fn keys(&self) -> core::slice::Iter<'_, K> {
        self.keys.iter()
    }

    /// Values, in the order of their keys.
    pub fn values(&self) -> core::slice::Iter<'_, V> {
        self.values.iter()
    }

    /// Values, in the order of their keys, to change.
    pub fn values_mut(&mut self) -> core::slice::IterMut<'_, V> {
        self.values.iter_mut()
    }

    /// Values, in the order of their keys, taken out.
    pub fn into_values(self) -> Vec<V> {
        self.values
    }

    /// Keys, in order, taken out.
    pub fn into_keys(self) -> Vec<K> {
        self.keys
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Takes everything out.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
    }
}

/// Where a key is, or where it belongs.
#[inline(never)]
fn place<K: Ord>(keys: &[K], key: &K) -> Result<usize, usize> {
    keys.binary_search(key)
}

impl<K, V> IntoIterator for FlatMap<K, V> {
    type Item = (K, V);
    type IntoIter = core::iter::Zip<IntoIter<K>, IntoIter<V>>;

    fn into_iter(self) -> Self::IntoIter {
        self.keys.into_iter().zip(self.values)
    }
}

impl<K: Ord, V: Default> FlatMap<K, V> {
    /// The value of a key, put there when missing.
    #[allow(clippy::indexing_slicing, reason = "the place was found or filled just now")]
    pub fn or_default(&mut self, key: K) -> &mut V {
        let place = match place(&self.keys, &key) {
            Ok(place) => place,
            Err(place) => {
                self.keys.insert(place, key);
                self.values.insert(place, V::default());
                place
            }
        };
        &mut self.values[place]
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for FlatMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn behaves_like_the_standard_map(steps in prop::collection::vec((0u8..4, 0u8..16, any::<u8>()), 0..80)) {
            let (mut ours, mut theirs) = (FlatMap::new(), BTreeMap::new());
            for (step, key, value) in steps {
                match step {
                    0 | 1 => prop_assert_eq!(ours.insert(key, value), theirs.insert(key, value)),
                    2 => prop_assert_eq!(ours.remove(&key), theirs.remove(&key)),
                    _ => prop_assert_eq!(*ours.or_default(key), *theirs.entry(key).or_default()),
                }
                prop_assert!(ours.iter().eq(theirs.iter()));
                prop_assert_eq!((ours.get(&key), ours.len()), (theirs.get(&key), theirs.len()));
            }
            prop_assert!(ours.into_iter().eq(theirs));
        }
    }
}
