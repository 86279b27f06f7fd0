-- The directory, and what is known of devices. Times are ms since 1970; ids and hashes are bytes.

-- Until when a case must be over, once somebody takes care of it and if its rule says so.
ALTER TABLE cases ADD COLUMN resolve_by INTEGER;
CREATE INDEX cases_to_resolve ON cases (resolve_by)
  WHERE state = 'acknowledged' AND escalated = 0 AND resolve_by IS NOT NULL;

-- The case that reports of a kind about a place went to last.
CREATE TABLE spots (
  kind TEXT NOT NULL,
  spot TEXT NOT NULL,
  case_key TEXT NOT NULL,
  PRIMARY KEY (kind, spot)
) STRICT, WITHOUT ROWID;
CREATE INDEX spots_of_case ON spots (case_key);

-- What was answered to a public form. `asker` is a hash over address and idempotency key; neither is kept.
CREATE TABLE forms (
  asker BLOB PRIMARY KEY CHECK (length(asker) = 32),
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  case_key TEXT NOT NULL,
  unit TEXT NOT NULL,
  known INTEGER NOT NULL CHECK (known IN (0, 1)),
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX forms_by_age ON forms (at);

-- How somebody can be reached about a case, for as long as it is open. Beside the bus, so that no event holds it.
CREATE TABLE contacts (
  case_key TEXT NOT NULL,
  contact TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (case_key, contact)
) STRICT, WITHOUT ROWID;
CREATE INDEX contacts_by_age ON contacts (at);

-- The directory: who handles what is said on which topics. Patterns and words stand apart by spaces.
CREATE TABLE agents (
  device TEXT PRIMARY KEY,
  topics TEXT NOT NULL,
  performatives TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One life of a device's database, by when it spoke; what it owed when it last said so.
CREATE TABLE lives (
  device TEXT NOT NULL,
  name TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  spoke_at INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  epoch_at INTEGER NOT NULL,
  stale_at INTEGER,
  stale INTEGER NOT NULL,
  owed_lowest INTEGER,
  owed_highest INTEGER,
  PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX lives_by_age ON lives (device, first_at);

-- Devices whose name another one is believed to bear.
CREATE TABLE clones (
  device TEXT PRIMARY KEY,
  why TEXT NOT NULL,
  found_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Two events at one place of an outbox come from two devices.
CREATE INDEX events_by_place ON events (source, sequence) WHERE sequence IS NOT NULL;
