-- What the board asks again and again, each by an index of its own, and what a person gave up. Times are ms since 1970.

-- The latest alerts.
CREATE INDEX log_alerts ON log (at) WHERE topic = 'ops.alerts.v1';
-- Tickets that let somebody in twice, the latest first.
CREATE INDEX scans_doubled ON scans (at) WHERE result = 'duplicate';
-- Refunds by state.
CREATE INDEX duplicates_by_state ON duplicates (state, at);
-- Open cases by unit, those first whose time is up first.
CREATE INDEX cases_open ON cases (unit, state, escalated) WHERE state <> 'resolved';
-- Dead letters that wait for a person, the oldest first.
CREATE INDEX dead_letters_waiting ON dead_letters (number) WHERE closed_at IS NULL;
-- Devices by their last visit.
CREATE INDEX devices_by_visit ON devices (seen_at);

-- Sequences that never came and that a person gave up, for the audit.
CREATE TABLE written_off (
  device TEXT NOT NULL,
  name TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL CHECK (last >= first),
  at INTEGER NOT NULL,
  by TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (device, name, first, at)
) STRICT, WITHOUT ROWID;
