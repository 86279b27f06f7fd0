-- What gates did, more exactly. Times are ms since 1970.

-- Whether somebody walked in. Of earlier scans nobody kept it: what was not refused counts as if.
ALTER TABLE scans ADD COLUMN inside INTEGER NOT NULL DEFAULT 1 CHECK (inside IN (0, 1));
UPDATE scans SET inside = 0 WHERE result = 'refused';

-- Of a ticket that waits to be told, nothing more is noted.
CREATE INDEX digests_of_ticket ON digests (ticket);
