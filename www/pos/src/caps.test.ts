import assert from "node:assert/strict";
import { test } from "node:test";
import { capOf, type Gauge, gauge, isBound } from "./caps.ts";
import { limits } from "./limits.ts";
import { methods } from "./sale.ts";

const NOW = 1_800_000_000_000;
const some = (count: number, amount: number, ageMs = 0): Gauge =>
  gauge(
    Array.from({ length: count }, () => ({ amount, at: NOW - ageMs })),
    NOW,
  );
const promise = { amount: 50_000, method: "promise", linked: false } as const;

test("money in hand is no risk: only what is still to come is bound", () => {
  assert.deepEqual(methods.filter(isBound), ["promise", "authorized_online"]);
  const full = some(limits.capCount, 1, limits.capAgeMs);
  for (const method of ["cash", "confirmed_elsewhere"] as const) {
    assert.equal(capOf({ amount: limits.saleMax, method, linked: false }, full), null);
  }
});

test("the gauge shows the fullest of count, sum and age", () => {
  const { count, total, leftMs, filled, level } = some(7, 31_000, 50 * 60_000);
  assert.deepEqual([count, total, leftMs], [7, 217_000, 190 * 60_000]);
  assert.ok(Math.abs(filled - 7 / 30) < 1e-9);
  assert.equal(level, "calm");
  assert.equal(some(1, 500_000).level, "half");
  assert.equal(some(24, 100).level, "high");
  assert.equal(some(1, 1, limits.capAgeMs).level, "full");
  assert.equal(some(0, 0).leftMs, limits.capAgeMs);
});

test("the thirtieth sale goes, the one after it waits", () => {
  assert.equal(capOf({ ...promise, amount: 100 }, some(29, 100)), null);
  assert.equal(capOf({ ...promise, amount: 100 }, some(30, 100)), "count");
});

test("the sum may be reached and not passed", () => {
  assert.equal(capOf(promise, some(1, 950_000)), null);
  assert.equal(capOf({ ...promise, amount: 50_001 }, some(1, 950_000)), "total");
});

test("after four hours with one unsent the next waits, whatever the amounts", () => {
  assert.equal(capOf(promise, some(1, 1, limits.capAgeMs - 1)), null);
  assert.equal(capOf(promise, some(1, 1, limits.capAgeMs)), "age");
});

test("a large promise needs a link; what the bank holds has no cap of its own", () => {
  const large = { ...promise, amount: limits.capSale + 1 };
  assert.equal(capOf(large, some(0, 0)), "sale");
  assert.equal(capOf({ ...large, linked: true }, some(0, 0)), null);
  assert.equal(capOf({ ...large, method: "authorized_online" }, some(0, 0)), null);
});

test("a clock that was set back makes nothing older", () => {
  assert.equal(gauge([{ amount: 1, at: NOW + 1_000 }], NOW).leftMs, limits.capAgeMs);
});
