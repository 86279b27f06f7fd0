//! What is known of the devices.

use super::tx::{LIFE, read_life};
use super::{device, int, moment, role, strange, whole};
use city_domain::clones::Life;
use city_domain::{Gap, Owed, Role, limits};
use conch::event::{Device, UnixMillis};
use rusqlite::{Connection, params};

/// An enrolled device and how it stands.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) device: Device,
    pub(crate) role: Role,
    /// When it last enrolled.
    pub(crate) enrolled_at: UnixMillis,
    /// When it was last heard, within a minute.
    pub(crate) seen_at: UnixMillis,
    /// Its valid tokens.
    pub(crate) tokens: u64,
    /// Sequences that never came.
    pub(crate) missing: u64,
    /// Why another device is believed to bear its name, and since when.
    pub(crate) clone: Option<(String, UnixMillis)>,
    /// What the life that spoke last said it owes.
    pub(crate) owed: Option<Owed>,
}

/// All devices by name, or one of them.
pub(crate) fn devices(connection: &Connection, only: Option<&Device>) -> rusqlite::Result<Vec<Known>> {
    let mut statement = connection.prepare(
        "SELECT d.device, d.role, d.enrolled_at, d.seen_at,
           (SELECT count(*) FROM tokens AS t WHERE t.device = d.device),
           (SELECT total(g.last - g.first + 1) FROM gaps AS g WHERE g.device = d.device),
           c.why, c.found_at, l.owed_lowest, l.owed_highest
         FROM devices AS d LEFT JOIN clones AS c ON c.device = d.device
         LEFT JOIN lives AS l ON l.device = d.device
           AND l.name = (SELECT name FROM lives WHERE device = d.device ORDER BY spoke_at DESC, name LIMIT 1)
         WHERE ?1 IS NULL OR d.device = ?1 ORDER BY d.device",
    )?;
    let rows = statement.query_map([only.map(Device::as_str)], |row| {
        let missing: f64 = row.get(5)?;
        let end =
            |index| row.get::<_, Option<i64>>(index).map(|end| end.and_then(|end| u64::try_from(end).ok()));
        Ok(Known {
            device: device(row, 0)?,
            role: role(row, 1)?,
            enrolled_at: moment(row, 2)?.ok_or_else(|| strange(2, "not a time"))?,
            seen_at: moment(row, 3)?.ok_or_else(|| strange(3, "not a time"))?,
            tokens: whole(row, 4)?,
            missing: missing.max(0.0) as u64,
            clone: row.get::<_, Option<String>>(6)?.zip(moment(row, 7)?),
            owed: end(8)?.zip(end(9)?).map(|(lowest, highest)| Owed { lowest, highest }),
        })
    })?;
    rows.collect()
}

/// The lives of a device's database, the youngest first.
pub(crate) fn lives(connection: &Connection, device: &Device) -> rusqlite::Result<Vec<Life>> {
    let sql = format!("{LIFE} WHERE device = ?1 ORDER BY first_at DESC LIMIT ?2");
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(params![device.as_str(), limits::SHOWN_MAX], read_life)?.collect()
}

/// The sequences of a device that never came, by the life of its database, and when that was found.
pub(crate) fn gaps(
    connection: &Connection,
    device: &Device,
) -> rusqlite::Result<Vec<(String, Gap, UnixMillis)>> {
    let mut statement = connection.prepare(
        "SELECT name, first, last, found_at FROM gaps WHERE device = ?1 ORDER BY found_at DESC, name, first LIMIT ?2",
    )?;
    let rows = statement.query_map(params![device.as_str(), limits::SHOWN_MAX], |row| {
        let gap = Gap { first: whole(row, 1)?, last: whole(row, 2)? };
        Ok((row.get(0)?, gap, UnixMillis(whole(row, 3)?)))
    })?;
    rows.collect()
}

/// Voids the tokens and the unused codes of a device and takes it out of the directory. Tells how many of each.
pub(crate) fn revoke(connection: &Connection, device: &Device) -> rusqlite::Result<(usize, usize)> {
    let name = device.as_str();
    let tokens = connection.execute("DELETE FROM tokens WHERE device = ?1", [name])?;
    let now = int(crate::clock::now().0);
    let codes = connection.execute(
        "DELETE FROM codes WHERE device = ?1 AND used_at IS NULL AND expires_at > ?2",
        params![name, now],
    )?;
    connection.execute("DELETE FROM agents WHERE device = ?1", [name])?;
    Ok((tokens, codes))
}
