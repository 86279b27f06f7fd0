-- The bus: what services say to each other. Times are ms since 1970; ids are bytes.

-- Said and not on the log yet, in the order in which it was said. Written in the transaction of whoever says it.
CREATE TABLE outgoing (
  place INTEGER PRIMARY KEY,
  partition INTEGER NOT NULL CHECK (partition BETWEEN 0 AND 15),
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  topic TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX outgoing_in_order ON outgoing (partition, place);

-- The work that only one may do.
CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
  partition INTEGER NOT NULL CHECK (partition BETWEEN 0 AND 15),
  offset INTEGER NOT NULL CHECK (offset > 0),
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  topic TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (partition, offset),
  UNIQUE (source, id)
) STRICT, WITHOUT ROWID;

-- How far each consumer has taken up what lies on the log.
CREATE TABLE cursors (
  consumer TEXT NOT NULL,
  partition INTEGER NOT NULL CHECK (partition BETWEEN 0 AND 15),
  offset INTEGER NOT NULL,
  PRIMARY KEY (consumer, partition)
) STRICT, WITHOUT ROWID;

-- The consumers' inbox: written in the transaction of the effect.
CREATE TABLE handled (
  consumer TEXT NOT NULL,
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  at INTEGER NOT NULL,
  PRIMARY KEY (consumer, source, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX handled_by_age ON handled (at);
CREATE INDEX inbox_by_age ON inbox (received);

-- Events a consumer has not done yet: due at a time, or behind an earlier one of their key.
CREATE TABLE waits (
  consumer TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  key TEXT NOT NULL,
  tries INTEGER NOT NULL,
  due INTEGER,
  dead INTEGER NOT NULL CHECK (dead IN (0, 1)),
  body TEXT,
  CHECK (dead = 0 OR due IS NULL),
  PRIMARY KEY (consumer, partition, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX waits_of_key ON waits (consumer, key, partition, offset);
CREATE INDEX waits_at ON waits (partition, offset);
CREATE INDEX waits_due ON waits (consumer, due) WHERE due IS NOT NULL;

CREATE TABLE dead_letters (
  number INTEGER PRIMARY KEY,
  consumer TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  topic TEXT NOT NULL,
  type TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,
  tries INTEGER NOT NULL,
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  mended TEXT,
  blocks INTEGER NOT NULL CHECK (blocks IN (0, 1)),
  at INTEGER NOT NULL,
  closed_at INTEGER,
  closed_by TEXT,
  redriven INTEGER CHECK (redriven IN (0, 1)),
  reason TEXT,
  CHECK ((closed_at IS NULL) = (closed_by IS NULL)),
  CHECK ((closed_at IS NULL) = (redriven IS NULL)),
  CHECK ((closed_at IS NULL) = (reason IS NULL))
) STRICT;
CREATE INDEX dead_letters_open ON dead_letters (fingerprint, number) WHERE closed_at IS NULL;
-- Two open letters for one event would be two decisions about it.
CREATE UNIQUE INDEX dead_letters_at ON dead_letters (partition, offset, consumer) WHERE closed_at IS NULL;

-- Civic reports, one row a case.
CREATE TABLE cases (
  key TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  place TEXT NOT NULL,
  unit TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('routed', 'acknowledged', 'resolved')),
  reports INTEGER NOT NULL CHECK (reports > 0),
  due INTEGER NOT NULL,
  escalated INTEGER NOT NULL CHECK (escalated IN (0, 1)),
  reported_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cases_due ON cases (due) WHERE state = 'routed' AND escalated = 0;

-- What each stall draws on its circuit, in watts.
CREATE TABLE loads (
  circuit TEXT NOT NULL,
  stall TEXT NOT NULL,
  watts INTEGER NOT NULL CHECK (watts >= 0),
  drawn INTEGER NOT NULL CHECK (drawn >= 0),
  at INTEGER NOT NULL,
  shed_at INTEGER,
  changed_at INTEGER,
  PRIMARY KEY (circuit, stall)
) STRICT, WITHOUT ROWID;
CREATE INDEX loads_shed ON loads (circuit) WHERE shed_at IS NOT NULL;
