-- The first layout. Times are ms since 1970; ids, intents and hashes are bytes.

CREATE TABLE city (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  id BLOB NOT NULL CHECK (length(id) = 16),
  made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE devices (
  device TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('gate', 'vendor', 'ops')),
  enrolled_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  device TEXT NOT NULL REFERENCES devices (device),
  made_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_of_device ON tokens (device);

CREATE TABLE codes (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  device TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('gate', 'vendor', 'ops')),
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT, WITHOUT ROWID;

-- What was answered for each delivery. Slim, because every delivery looks here.
CREATE TABLE inbox (
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  device TEXT NOT NULL,
  verdict TEXT NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'refused')),
  problem TEXT,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  window_ms INTEGER NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- The accepted events, in the order they were accepted.
CREATE TABLE events (
  position INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  device TEXT NOT NULL,
  topic TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  intent BLOB NOT NULL CHECK (length(intent) = 16),
  sequence INTEGER,
  device_time INTEGER,
  corrected INTEGER NOT NULL,
  received INTEGER NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (source, id)
) STRICT;

CREATE TABLE refusals (
  device TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  code TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (device, id, code)
) STRICT, WITHOUT ROWID;

-- scope is empty for the whole market, else the device.
CREATE TABLE intents (
  scope TEXT NOT NULL,
  intent BLOB NOT NULL CHECK (length(intent) = 16),
  fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  PRIMARY KEY (scope, intent)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
  key TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('captured', 'open', 'failed')),
  event BLOB NOT NULL CHECK (length(event) = 16),
  intent BLOB NOT NULL CHECK (length(intent) = 16),
  device TEXT NOT NULL,
  amount INTEGER CHECK (amount > 0),
  currency TEXT,
  method TEXT,
  txn_id TEXT UNIQUE,
  reason TEXT,
  at INTEGER NOT NULL,
  CHECK ((state = 'captured') = (txn_id IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- Money on the books: once per order, for ever, whatever a decision may say.
CREATE TABLE captures (
  order_key TEXT PRIMARY KEY,
  txn_id TEXT NOT NULL UNIQUE,
  event BLOB NOT NULL CHECK (length(event) = 16),
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE admissions (
  ticket TEXT PRIMARY KEY,
  event BLOB NOT NULL CHECK (length(event) = 16),
  device TEXT NOT NULL,
  gate TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE scans (
  ticket TEXT NOT NULL,
  position INTEGER NOT NULL,
  event BLOB NOT NULL CHECK (length(event) = 16),
  device TEXT NOT NULL,
  gate TEXT NOT NULL,
  result TEXT NOT NULL CHECK (result IN ('admitted', 'duplicate', 'refused')),
  at INTEGER NOT NULL,
  PRIMARY KEY (ticket, position),
  UNIQUE (device, event)
) STRICT, WITHOUT ROWID;

-- What each device is told, numbered per device. The outbox of the city.
CREATE TABLE feed (
  device TEXT NOT NULL,
  sequence INTEGER NOT NULL CHECK (sequence > 0),
  id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
  body TEXT NOT NULL,
  PRIMARY KEY (device, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE incarnations (
  device TEXT NOT NULL,
  name TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  scanned INTEGER NOT NULL,
  PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE arrivals (
  device TEXT NOT NULL,
  name TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  PRIMARY KEY (device, name, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE gaps (
  device TEXT NOT NULL,
  name TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL CHECK (last >= first),
  found_at INTEGER NOT NULL,
  PRIMARY KEY (device, name, first)
) STRICT, WITHOUT ROWID;
