//! The outbox on IndexedDB.
