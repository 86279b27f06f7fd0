import assert from "node:assert/strict";
import { test } from "node:test";
import type { Ticket } from "../../shell/city.ts";
import {
  afterTicket,
  afterVerdict,
  failedResult,
  mayLetIn,
  mayTurnAway,
  movementOf,
  type Scan,
  soundOf,
  standingOf,
  usedElsewhere,
} from "./scan.ts";

const saved: Scan = { key: "e1", at: 1_000, ticket: "T-1", state: "saved", decision: "admitted" };
const ticket: Ticket = {
  key: "T-1",
  state: "admitted",
  eventId: "e1",
  device: "gate-n1",
  gateId: "gate-n1",
  at: 900,
  scans: 1,
};
const turned = (reason: Scan["reason"], first?: Scan["first"]): Scan => ({
  ...saved,
  decision: "refused",
  ...(reason && { reason }),
  ...(first && { first }),
});

test("admitted only when the first admission is this very event", () => {
  assert.equal(afterTicket(saved, ticket).state, "admitted");
});

test("who was let in with a ticket that was used elsewhere is in, and the gate hears it", () => {
  const after = afterTicket(saved, { ...ticket, eventId: "e0", gateId: "gate-south" });
  assert.equal(standingOf(after, "n1"), "doubled");
  assert.deepEqual(after.first, { place: "gate-south", at: 900 });
});

test("accepted is not admitted", () => {
  assert.equal(standingOf(afterVerdict(saved, { id: "e1", verdict: "accepted" }), "n1"), "saved");
});

test("a verdict is final: a later word about the ticket does not change it", () => {
  const refused = afterVerdict(saved, { id: "e1", verdict: "refused" });
  assert.equal(refused.state, "refused");
  assert.equal(afterTicket(refused, ticket).state, "refused");
});

test("every reason has a standing of its own, and use here is told from use elsewhere", () => {
  const standings = (
    ["revoked", "not_yet_valid", "expired", "wrong_gate", "unverified", "unknown_ticket"] as const
  ).map((reason) => standingOf(turned(reason), "n1"));
  assert.deepEqual(standings, ["revoked", "too-early", "expired", "wrong-gate", "unsure", "denied"]);
  assert.equal(standingOf(turned("duplicate", { place: "n1", at: 1 }), "n1"), "used-here");
  assert.equal(standingOf(turned("duplicate", { place: "s1", at: 1 }), "n1"), "used");
});

test("a row of an earlier version of the page was let in", () => {
  const { decision: _, ...old } = saved;
  assert.equal(standingOf(old, "n1"), "saved");
});

test("a reason of a newer city is still a no", () => {
  assert.equal(standingOf(turned("too_drunk" as Scan["reason"]), "n1"), "denied");
});

test("let in, used, stopped and the same again sound differently", () => {
  assert.equal(soundOf("admitted"), "accepted");
  assert.equal(soundOf("saved"), "accepted");
  assert.equal(soundOf("used"), "used");
  assert.equal(soundOf("used-here"), "used");
  for (const standing of ["revoked", "unsure", "denied", "wrong-gate"] as const)
    assert.equal(soundOf(standing), "stop");
});

const guard = { sameTicketMs: 5_000, stillMs: 1_200 };
const lately = { sinceMs: 100, seenMs: 100 };
const typed = (nowMs: number) => movementOf(lately, { byCamera: false, nowMs }, guard);

test("the same code is one movement for five seconds and a second visit after that", () => {
  assert.equal(typed(5_099), "same");
  assert.equal(typed(5_100), "new");
  assert.equal(movementOf(undefined, { byCamera: false, nowMs: 101 }, guard), "new");
});

test("a code that is still held before the camera is no news, however long; taken away and shown again it is", () => {
  const seen = (seenMs: number, nowMs: number) => movementOf({ ...lately, seenMs }, { byCamera: true, nowMs }, guard);
  assert.equal(seen(100, 200), "held");
  assert.equal(seen(60_000, 61_199), "held");
  assert.equal(seen(1_000, 2_300), "same");
  assert.equal(seen(60_000, 61_200), "new");
});

test("what the outbox refuses as a name is no ticket and is not repeated on the screen", () => {
  const card = failedResult("4111111111111111", "pii-in-key");
  assert.deepEqual(card, { kind: "not-ticket", what: "text", length: 16 });
  assert.equal(failedResult("T-1", "quota").kind, "error");
});

test("where the city said a ticket was used is remembered until it is said to be free again", () => {
  const first = { place: "s1", at: 900 };
  const rows = [turned("duplicate", first)];
  assert.deepEqual(usedElsewhere(rows, "T-1", null), first);
  assert.deepEqual(usedElsewhere(rows, "T-1", 999), first, "said before");
  assert.equal(usedElsewhere(rows, "T-1", 1_001), null);
  assert.equal(usedElsewhere(rows, "T-2", null), null);
});

test("only who was let in can be turned away, within the minute and once", () => {
  assert.equal(mayTurnAway(saved, 1_059, 60), true);
  assert.equal(mayTurnAway(saved, 1_060, 60), false);
  assert.equal(mayTurnAway({ ...saved, notLetIn: "left" }, 1_001, 60), false);
  assert.equal(mayTurnAway(turned("revoked"), 1_001, 60), false);
  assert.equal(mayTurnAway({ ...saved, state: "given-up" }, 1_001, 60), false);
});

test("a supervisor may let in who could not be looked up and who came with a used ticket, and nobody else", () => {
  const asked = (scan: Scan, now = 2_000): boolean => mayLetIn(scan, now, 60_000);
  assert.ok(asked(turned("unverified")));
  assert.ok(asked(turned("duplicate", { place: "s1", at: 1 })));
  for (const reason of ["revoked", "not_yet_valid", "expired", "wrong_gate", "unknown_ticket", "refused"] as const) {
    assert.ok(!asked(turned(reason)), reason);
  }
  assert.ok(!asked(saved));
  assert.ok(!asked({ ...turned("unverified"), overruled: true }));
  assert.ok(!asked({ ...turned("unverified"), state: "refused" }));
  assert.ok(!asked(turned("unverified"), 61_000));
});

test("who was let in by a supervisor stays so, whatever the city finds, until the event itself comes to nothing", () => {
  const scan: Scan = { ...saved, letIn: true, first: { place: "s1", at: 1 } };
  assert.equal(standingOf(scan, "n1"), "let-in");
  assert.equal(standingOf(afterTicket(scan, { ...ticket, eventId: "e0" }), "n1"), "let-in");
  assert.equal(standingOf({ ...scan, notLetIn: "left" }, "n1"), "not-let-in");
  assert.equal(standingOf(afterVerdict(scan, { id: "e1", verdict: "refused" }), "n1"), "refused");
  assert.equal(soundOf("let-in"), "accepted");
});
