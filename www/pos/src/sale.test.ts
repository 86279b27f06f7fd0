import assert from "node:assert/strict";
import { test } from "node:test";
import type { Order } from "../../shell/city.ts";
import { afterOrder, afterVerdict, anotherWay, doubtAfter, noDoubt, payloadOf, type Sale, standingOf } from "./sale.ts";

const begun: Sale = { key: "order-1", at: 1, amount: 12_000, method: "cash", state: "begun" };
const saved: Sale = { ...begun, state: "saved", eventId: "e1", sequence: 4 };
const order: Order = {
  key: "order-1",
  state: "captured",
  eventId: "e1",
  device: "stall-1",
  amount: 12_000,
  currency: "TWD",
  method: "cash",
  at: 2,
};
const NOW = 9;
const certain = { sequence: 0, failed: new Map<string, string>() };

test("accepted is not paid", () => {
  const after = afterVerdict(saved, { id: "e1", verdict: "accepted" });
  assert.equal(standingOf(after, certain), "saved");
  assert.equal(after.arrived, true);
});

test("paid only when the books say captured, and a promise stays a promise", () => {
  assert.equal(afterOrder(saved, order, NOW).state, "paid");
  assert.equal(afterOrder({ ...saved, method: "promise" }, { ...order, state: "open" }, NOW).state, "promised");
  assert.equal(afterOrder(saved, { ...order, state: "pending" }, NOW), saved, "the bank has not answered: not paid");
});

test("a failed order needs attention and says why", () => {
  const after = afterOrder(saved, { ...order, state: "failed", reason: "gateway_declined" }, NOW);
  assert.deepEqual([after.state, after.reason], ["attention", "gateway_declined"]);
});

test("an order of another amount is not our payment", () => {
  const after = afterOrder(saved, { ...order, amount: 1_200 }, NOW);
  assert.deepEqual([after.state, after.reason], ["attention", "amount_mismatch"]);
});

test("an order is no news for a sale that a person gave up", () => {
  assert.equal(afterOrder({ ...saved, state: "given-up" }, order, NOW).state, "given-up");
});

test("what the city refused has a dead letter, what it could not take the money for has none", () => {
  assert.equal(afterOrder(saved, { ...order, state: "failed" }, NOW).failed, true);
  assert.equal(afterVerdict(saved, { id: "e1", verdict: "refused" }).failed, undefined);
});

test("a refusal needs attention, a discard gives the sale up", () => {
  assert.equal(afterVerdict(saved, { id: "e1", verdict: "refused" }).state, "attention");
  assert.equal(afterVerdict(saved, { id: "e1", verdict: "discarded" }).state, "given-up");
});

test("a verdict on an older event of a redriven sale changes nothing", () => {
  assert.equal(afterVerdict({ ...saved, eventId: "e2" }, { id: "e1", verdict: "refused" }).state, "saved");
});

test("a sale is called saved only once the outbox has it", () => {
  assert.equal(standingOf(begun, certain), "saving");
  assert.equal(standingOf(saved, certain), "saved");
});

test("a definite error says not saved, an interrupted storage says unknown", () => {
  const failedWith = (code: string) => ({ sequence: 0, failed: new Map([["order-1", code]]) });
  assert.equal(standingOf(begun, failedWith("quota")), "not-saved");
  assert.equal(standingOf(begun, failedWith("storage-lost")), "unknown");
});

const quiet = { asking: false, unsent: false };

test("doubt covers what was stored when an answer went missing, not what came later", () => {
  const { sequence } = doubtAfter(noDoubt, { ...quiet, unknown: 1 }, 4);
  assert.equal(standingOf(saved, { ...certain, sequence }), "unknown");
  assert.equal(standingOf({ ...saved, sequence: 5 }, { ...certain, sequence }), "saved");
});

test("doubt ends when no answer is missing any more, and does not grow by itself", () => {
  const two = { unknown: 2, sequence: 4, asked: null };
  assert.deepEqual(doubtAfter(two, { ...quiet, unknown: 1 }, 9), { unknown: 1, sequence: 4, asked: null });
  assert.deepEqual(doubtAfter(two, { ...quiet, unknown: 2 }, 9), two);
  assert.deepEqual(doubtAfter(two, { ...quiet, unknown: 0 }, 9), noDoubt);
});

test("an answer that may still come is not missing yet", () => {
  const asking = doubtAfter(noDoubt, { unknown: 1, asking: true, unsent: false }, 4);
  assert.equal(asking.sequence, 0);
  assert.equal(doubtAfter(asking, { ...quiet, unknown: 1 }, 5).sequence, 4);
});

test("what never left the device is saved, also once the network is back", () => {
  const tried = doubtAfter(noDoubt, { unknown: 2, asking: false, unsent: true }, 4);
  assert.equal(tried.sequence, 0);
  assert.equal(doubtAfter(tried, { ...quiet, unknown: 2 }, 4).sequence, 0);
});

test("what was first tried without network is in doubt once a further try goes unanswered, not when one succeeds", () => {
  const tried = doubtAfter(noDoubt, { unknown: 2, asking: false, unsent: true }, 4);
  const asking = doubtAfter(tried, { unknown: 2, asking: true, unsent: false }, 4);
  assert.equal(doubtAfter(asking, { ...quiet, unknown: 2 }, 4).sequence, 4);
  assert.equal(doubtAfter(asking, { ...quiet, unknown: 1 }, 4).sequence, 0);
});

test("another way is another attempt of the same order, without what belonged to the first", () => {
  const failed: Sale = {
    ...saved,
    method: "authorized_online",
    authRef: "a-1",
    state: "attention",
    reason: "declined",
  };
  const next = anotherWay(failed, "cash");
  assert.deepEqual(next, { key: saved.key, at: 1, amount: 12_000, method: "cash", state: "begun", attempt: 2 });
  assert.deepEqual(payloadOf(next), { amount: 12_000, currency: "TWD", method: "cash" });
  assert.deepEqual(payloadOf(failed).authRef, "a-1");
  assert.equal(payloadOf({ ...failed, stall: "stall-7" }).stallId, "stall-7");
});

test("a sale is confirmed when this till hears of it, which may be long after it was made", () => {
  assert.equal(afterOrder(saved, order, 7_200_000).confirmedAt, 7_200_000);
});
