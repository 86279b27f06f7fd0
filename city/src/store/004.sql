-- Tickets and admissions. Times are ms since 1970; ids are bytes.

CREATE TABLE tickets (
  ticket TEXT PRIMARY KEY,
  class TEXT NOT NULL,
  valid_from INTEGER,
  valid_until INTEGER,
  -- A JSON array of gates; empty for every gate.
  gates TEXT NOT NULL,
  issued_at INTEGER NOT NULL,
  revoked_at INTEGER,
  revoked_by TEXT,
  reason TEXT,
  CHECK (valid_from IS NULL OR valid_until IS NULL OR valid_from < valid_until),
  CHECK ((revoked_at IS NULL) = (reason IS NULL)),
  CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_in_order ON tickets (issued_at, ticket);

-- The keys that sign tickets' codes, by the number that stands in the code.
CREATE TABLE ticket_keys (
  number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 255),
  secret BLOB NOT NULL CHECK (length(secret) = 32),
  made_at INTEGER NOT NULL
) STRICT;

-- Whether only issued tickets count: the running city's option, so that every decision knows it.
CREATE TABLE ticket_policy (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  known INTEGER NOT NULL CHECK (known IN (0, 1))
) STRICT;

-- What gates asked before they opened, and the answer, under the id of the scan that follows.
CREATE TABLE claims (
  device TEXT NOT NULL,
  event BLOB NOT NULL CHECK (length(event) = 16),
  ticket TEXT NOT NULL,
  gate TEXT NOT NULL,
  at INTEGER NOT NULL,
  refused TEXT,
  first_gate TEXT,
  first_at INTEGER,
  received INTEGER NOT NULL,
  CHECK ((first_gate IS NULL) = (first_at IS NULL)),
  PRIMARY KEY (device, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_by_age ON claims (received);

-- Admissions of which other gates are to hear.
CREATE TABLE digests (
  place INTEGER PRIMARY KEY,
  ticket TEXT NOT NULL,
  until INTEGER NOT NULL
) STRICT;

-- What was wrong with the ticket, whatever became of the scan.
ALTER TABLE scans ADD COLUMN flaw TEXT
  CHECK (flaw IN ('unknown_ticket', 'revoked', 'not_yet_valid', 'expired', 'wrong_gate'));
CREATE INDEX scans_in_time ON scans (ticket, at, event, device) WHERE result <> 'refused';
-- A ticket has one admission, in the scans too.
CREATE UNIQUE INDEX scans_admitted ON scans (ticket) WHERE result = 'admitted';

-- When a feed's event may be forgotten; never, where nothing is said.
ALTER TABLE feed ADD COLUMN until INTEGER;
CREATE INDEX feed_passing ON feed (until) WHERE until IS NOT NULL;
CREATE INDEX gates_by_visit ON devices (role, seen_at);
