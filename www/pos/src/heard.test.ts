import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "conch-edge";
import { powerOf } from "../../shell/cut.ts";
import { effectsOf } from "./heard.ts";

const NOW = Date.parse("2026-11-28T13:00:10Z");
const said: Outcome = {
  id: "e1",
  causationId: "c1",
  correlationId: null,
  topic: "ops.power.v1",
  type: "shed",
  key: "c4",
  time: "2026-11-28T13:00:00Z",
  payload: { stall: "stall-7", watts: 900, graceS: 20 },
};

test("power goes when the grace is over since the city said so", () => {
  assert.deepEqual(powerOf(said, NOW), { state: "shed", at: NOW + 10_000 });
});

test("a device clock that is behind never puts the cut off beyond a whole grace", () => {
  const behind = NOW - 3_600_000;
  assert.deepEqual(powerOf(said, behind), { state: "shed", at: behind + 20_000 });
});

test("a notice heard long after says that power is gone already", () => {
  assert.ok((powerOf(said, NOW + 600_000)?.at ?? Number.NaN) < NOW + 600_000);
});

test("power that is back replaces the notice of the cut", () => {
  const records = [said, { ...said, type: "restored" }].map((event) => effectsOf(event, NOW)?.put[0]);
  assert.equal(records[0]?.key, records[1]?.key);
  assert.deepEqual(records[1]?.value, { state: "restored", at: NOW });
});

test("the steps of one refund are one record, and of two refunds of an order two", () => {
  const payload = { dupTxnId: "txn-2", origTxnId: "txn-1", amount: 5_000, currency: "TWD", reason: "captured_twice" };
  const refund = { ...said, topic: "pay.txn.v2", key: "order-1", payload };
  const steps = ["duplicate_captured", "refund_commanded", "refunded"].map((type) =>
    effectsOf({ ...refund, type }, NOW),
  );
  assert.deepEqual(new Set(steps.map((step) => step?.put[0]?.key)), new Set(["txn-2"]));
  assert.deepEqual(steps[2]?.put[0]?.value, {
    order: "order-1",
    state: "refunded",
    amount: 5_000,
    reason: "captured_twice",
    reference: "txn-2",
    at: Date.parse("2026-11-28T13:00:00Z"),
  });
  const other = effectsOf({ ...refund, type: "refunded", payload: { ...payload, dupTxnId: "txn-3" } }, NOW);
  assert.equal(other?.put[0]?.key, "txn-3");
});

test("what is no refund and no power changes nothing", () => {
  assert.equal(effectsOf({ ...said, topic: "pay.txn.v2", type: "captured", payload: { amount: 1 } }, NOW), undefined);
  assert.equal(effectsOf({ ...said, type: "load_reported" }, NOW), undefined);
  assert.equal(effectsOf({ ...said, topic: "civic.events.v1", type: "routed" }, NOW), undefined);
});
