//! Rows that are read freely and written only in a way that can be taken back: a piece of work that fails leaves nothing
//! behind, and costs what it wrote, not what there is.

use crate::tx::Fault;
use core::fmt;
use core::ops::Deref;
use std::collections::BTreeMap;

/// Which part of the rows is meant.
type Part<R, T> = fn(&mut R) -> &mut T;
/// Takes one write back.
type Inverse<R> = Box<dyn FnOnce(&mut R) + Send + Sync>;

/// The rows, and how what the open pieces wrote is taken back.
#[derive(Default)]
pub(super) struct Undoable<R> {
    rows: R,
    /// The last write's is the last.
    inverses: Vec<Inverse<R>>,
    /// Pieces that lie in each other.
    open: u32,
}

/// Where a piece began.
pub(super) struct Mark(usize);

impl<R> Deref for Undoable<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.rows
    }
}

/// A copy of the rows; nothing of it can be taken back.
impl<R: Clone> Clone for Undoable<R> {
    fn clone(&self) -> Self {
        Self { rows: self.rows.clone(), inverses: Vec::new(), open: 0 }
    }
}

impl<R: fmt::Debug> fmt::Debug for Undoable<R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.fmt(out)
    }
}

impl<R> Undoable<R> {
    /// From here on writes can be taken back. Every begin has its end.
    pub(super) fn begin(&mut self) -> Mark {
        self.open += 1;
        Mark(self.inverses.len())
    }

    /// A piece has ended. What failed is taken back.
    pub(super) fn end(&mut self, begin: Mark, failed: bool) {
        if failed {
            for inverse in self.inverses.drain(begin.0..).rev() {
                inverse(&mut self.rows);
            }
        }
        self.open -= 1;
        if self.open == 0 {
            self.inverses.clear();
        }
    }

    fn note(&mut self, inverse: impl FnOnce(&mut R) + Send + Sync + 'static) {
        if self.open > 0 {
            self.inverses.push(Box::new(inverse));
        }
    }
}

/// Data that can be kept for later.
pub(super) trait Plain: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Plain for T {}

impl<R: 'static> Undoable<R> {
    /// Writes a value over the one that is there.
    pub(super) fn set<T: Plain>(&mut self, part: Part<R, T>, value: T) {
        let before = core::mem::replace(part(&mut self.rows), value);
        self.note(move |rows| *part(rows) = before);
    }

    /// Writes a row, over what was there. Whether nothing was.
    pub(super) fn put<K: Plain + Ord, V: Plain>(
        &mut self,
        table: Part<R, BTreeMap<K, V>>,
        key: K,
        row: V,
    ) -> bool {
        let before = table(&mut self.rows).insert(key.clone(), row);
        let is_new = before.is_none();
        self.note(move |rows| match before {
            Some(row) => drop(table(rows).insert(key, row)),
            None => drop(table(rows).remove(&key)),
        });
        is_new
    }

    /// Adds a row that must not be there.
    pub(super) fn insert<K: Plain + Ord, V: Plain>(
        &mut self,
        table: Part<R, BTreeMap<K, V>>,
        key: K,
        row: V,
        name: &str,
    ) -> Result<(), Fault> {
        if table(&mut self.rows).contains_key(&key) {
            return Err(Fault(format!("{name}: the row is there already")));
        }
        self.put(table, key, row);
        Ok(())
    }

    /// Removes a row, if it is there.
    pub(super) fn remove<K: Plain + Ord, V: Plain>(&mut self, table: Part<R, BTreeMap<K, V>>, key: &K) {
        if let Some((key, row)) = table(&mut self.rows).remove_entry(key) {
            self.note(move |rows| drop(table(rows).insert(key, row)));
        }
    }

    /// Appends to a list, and tells at which place.
    pub(super) fn push<T: Plain>(&mut self, list: Part<R, Vec<T>>, row: T) -> usize {
        let rows = list(&mut self.rows);
        let place = rows.len();
        rows.push(row);
        self.note(move |rows| list(rows).truncate(place));
        place
    }

    /// Writes over a place of a list.
    pub(super) fn change<T: Plain>(&mut self, list: Part<R, Vec<T>>, place: usize, row: T) {
        if let Some(own) = list(&mut self.rows).get_mut(place) {
            let before = core::mem::replace(own, row);
            self.note(move |rows| {
                if let Some(own) = list(rows).get_mut(place) {
                    *own = before;
                }
            });
        }
    }

    /// Appends to the list under a key.
    pub(super) fn append<K: Plain + Ord, T: Plain>(
        &mut self,
        lists: Part<R, BTreeMap<K, Vec<T>>>,
        key: K,
        row: T,
    ) {
        lists(&mut self.rows).entry(key.clone()).or_default().push(row);
        self.note(move |rows| {
            let rows = lists(rows);
            let left = rows.get_mut(&key).and_then(|list| list.pop().map(|_| list.len()));
            if left == Some(0) {
                rows.remove(&key);
            }
        });
    }
}
