-- Payments through an acquirer, and refunds. Times are ms since 1970; ids are bytes.

-- An order may wait for the acquirer.
CREATE TABLE orders_now (
  key TEXT PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('captured', 'open', 'failed', 'pending')),
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
INSERT INTO orders_now SELECT key, state, event, intent, device, amount, currency, method, txn_id, reason, at FROM orders;
DROP TABLE orders;
ALTER TABLE orders_now RENAME TO orders;

CREATE TABLE authorizations (
  reference TEXT PRIMARY KEY,
  device TEXT NOT NULL,
  intent BLOB NOT NULL CHECK (length(intent) = 16),
  order_key TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  hold TEXT NOT NULL CHECK (hold IN ('asked', 'authorized', 'declined', 'used', 'cancelled')),
  reason TEXT,
  captures INTEGER NOT NULL CHECK (captures >= 0),
  expires INTEGER NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (device, intent)
) STRICT, WITHOUT ROWID;
CREATE INDEX authorizations_of_order ON authorizations (order_key) WHERE hold = 'authorized';
CREATE INDEX authorizations_held ON authorizations (expires) WHERE hold = 'authorized';

-- What is asked of the acquirer, each under an id of ours for ever.
CREATE TABLE operations (
  id TEXT PRIMARY KEY,
  service TEXT NOT NULL CHECK (service IN ('authorize', 'capture', 'cancel', 'refund')),
  order_key TEXT NOT NULL,
  about TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  statement TEXT NOT NULL,
  stand TEXT NOT NULL CHECK (stand IN ('wanted', 'asked', 'done', 'refused')),
  tries INTEGER NOT NULL,
  due INTEGER,
  reference TEXT,
  reason TEXT,
  cause_source TEXT,
  cause_id BLOB CHECK (length(cause_id) = 16),
  told_late INTEGER NOT NULL CHECK (told_late IN (0, 1)),
  at INTEGER NOT NULL,
  -- Whatever is open has a time at which somebody looks after it.
  CHECK ((due IS NULL) = (stand IN ('done', 'refused')))
) STRICT, WITHOUT ROWID;
CREATE INDEX operations_due ON operations (due) WHERE due IS NOT NULL;
CREATE INDEX operations_open ON operations (at) WHERE due IS NOT NULL AND told_late = 0;
CREATE INDEX operations_of_order ON operations (order_key);

-- Money the acquirer says it moved.
CREATE TABLE movements (
  reference TEXT PRIMARY KEY,
  operation TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('capture', 'refund')),
  amount INTEGER NOT NULL CHECK (amount > 0),
  currency TEXT NOT NULL,
  -- Whether the acquirer's own list shows it.
  listed INTEGER NOT NULL CHECK (listed IN (0, 1)),
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX movements_of_operation ON movements (operation);
CREATE INDEX movements_unlisted ON movements (at) WHERE listed = 0;

-- What a person was told of the acquirer's list, once for each.
CREATE TABLE told (
  what TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE settlement (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  up_to INTEGER NOT NULL,
  -- Whose list it is.
  acquirer TEXT
) STRICT;

-- Money that moved although its order was paid.
CREATE TABLE duplicates (
  txn_id TEXT PRIMARY KEY,
  first_txn_id TEXT NOT NULL,
  order_key TEXT NOT NULL,
  reference TEXT NOT NULL UNIQUE REFERENCES movements (reference),
  amount INTEGER NOT NULL CHECK (amount > 0),
  -- Never more goes back than was taken.
  refunding INTEGER NOT NULL CHECK (refunding BETWEEN 0 AND amount),
  currency TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('found', 'commanded', 'stuck', 'refunded', 'settled')),
  attempt INTEGER NOT NULL CHECK (attempt >= 0),
  cause_source TEXT,
  cause_id BLOB CHECK (length(cause_id) = 16),
  at INTEGER NOT NULL,
  CHECK (state NOT IN ('commanded', 'refunded') OR refunding = amount)
) STRICT, WITHOUT ROWID;
CREATE INDEX duplicates_of_order ON duplicates (order_key);
CREATE INDEX duplicates_open ON duplicates (at) WHERE state IN ('found', 'commanded', 'stuck');
-- Of one second capture at most one refund is under way or done.
CREATE UNIQUE INDEX refund_under_way ON operations (about) WHERE service = 'refund' AND stand <> 'refused';

CREATE TABLE refund_steps (
  txn_id TEXT NOT NULL REFERENCES duplicates (txn_id),
  number INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('found', 'commanded', 'stuck', 'refunded', 'settled')),
  attempt INTEGER NOT NULL,
  detail TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (txn_id, number)
) STRICT, WITHOUT ROWID;

-- Who else waits for the outcome of an order.
CREATE TABLE watchers (
  order_key TEXT NOT NULL,
  source TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  body TEXT NOT NULL,
  PRIMARY KEY (order_key, source, id)
) STRICT, WITHOUT ROWID;
