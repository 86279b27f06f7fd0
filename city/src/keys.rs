//! The valid tokens, in memory: saying no must cost nearly nothing.
//!
//! Only the writer's thread changes them, after the commit that makes it so. A person may void tokens from the command
//! line, in another process: SQLite counts what other connections commit, and that count is looked at before every group
//! of requests and at least each second.

use crate::secret::Hash;
use crate::store;
use city_domain::Principal;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

/// The tokens by hash, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    all: RwLock<HashMap<Hash, Principal>>,
    /// SQLite's count when they were read.
    read_at: AtomicI64,
}

impl Keys {
    /// Reads them for the first time; `connection` is the one that later refreshes them.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let keys = Self { all: RwLock::default(), read_at: AtomicI64::new(-1) };
        keys.refresh(connection)?;
        Ok(keys)
    }

    /// Reads them again if another process wrote since, and tells whether one did.
    pub(crate) fn refresh(&self, connection: &Connection) -> rusqlite::Result<bool> {
        // The count first: what is written between the two is read again the next time.
        let count: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.read_at.load(Ordering::Relaxed) == count {
            return Ok(false);
        }
        let tokens = store::tokens(connection)?;
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = tokens.into_iter().collect();
        self.read_at.store(count, Ordering::Relaxed);
        Ok(true)
    }

    pub(crate) fn find(&self, hash: &Hash) -> Option<Principal> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// Adds a token. The device's role holds for its older tokens too, unless they are void.
    pub(crate) fn add(&self, hash: Hash, principal: Principal, replaced: bool) {
        let mut keys = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if replaced {
            keys.retain(|_, older| older.device != principal.device);
        }
        for older in keys.values_mut().filter(|older| older.device == principal.device) {
            older.role = principal.role;
        }
        keys.insert(hash, principal);
    }
}
