import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ticket } from "../../shell/city.ts";
import { afterTicket, afterVerdict, earlierScan, failedResult, isSameMovement, type Scan, standingOf } from "./scan.ts";

const saved: Scan = { key: "e1", at: 1_000, ticket: "T-1", state: "saved" };
const ticket: Ticket = {
  key: "T-1",
  state: "admitted",
  eventId: "e1",
  device: "gate-n1",
  gateId: "gate-n1",
  at: 900,
  scans: 1,
};

test("admitted only when the first admission is this very event", () => {
  assert.equal(afterTicket(saved, ticket).state, "admitted");
});

test("another event's admission means already used, with place and time", () => {
  const after = afterTicket(saved, { ...ticket, eventId: "e0", gateId: "gate-south" });
  assert.equal(after.state, "used");
  assert.deepEqual(after.first, { place: "gate-south", at: 900 });
});

test("accepted is not admitted", () => {
  assert.equal(standingOf(afterVerdict(saved, { id: "e1", verdict: "accepted" })), "saved");
});

test("a verdict is final: a later word about the ticket does not change it", () => {
  const refused = afterVerdict(saved, { id: "e1", verdict: "refused" });
  assert.equal(refused.state, "refused");
  assert.equal(afterTicket(refused, ticket).state, "refused");
});

test("without a connection this device still knows its own earlier scans", () => {
  const earlierAt = earlierScan([{ ...saved, at: 2_000 }, saved], "T-1");
  assert.equal(earlierAt, 2_000);
  assert.equal(standingOf({ ...saved, key: "e2", earlierAt: 2_000 }), "used-here");
  assert.equal(earlierScan([saved], "T-2"), undefined);
});

test("a ticket that was turned away was not used", () => {
  assert.equal(earlierScan([{ ...saved, state: "refused" }], "T-1"), undefined);
});

test("the same code is one movement for five seconds and a second visit after that", () => {
  const last = { ticket: "T-1", key: "e1", sinceMs: 100 };
  assert.equal(isSameMovement(last, "T-1", 5_099, 5_000), true);
  assert.equal(isSameMovement(last, "T-1", 5_100, 5_000), false);
  assert.equal(isSameMovement(last, "T-2", 101, 5_000), false);
  assert.equal(isSameMovement(null, "T-1", 101, 5_000), false);
});

test("a card held under the scanner is not repeated on the screen", () => {
  assert.deepEqual(failedResult("4111111111111111", "pii-in-key"), { kind: "not-ticket", code: "pii-in-key" });
  assert.equal(failedResult("T-1", "quota").kind, "error");
});
