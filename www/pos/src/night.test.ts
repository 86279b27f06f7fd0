import assert from "node:assert/strict";
import { test } from "node:test";
import { hindrances } from "../../shell/hindrances.ts";
import { totalsOf } from "./night.ts";
import type { Sale } from "./sale.ts";

const certain = { sequence: 0, failed: new Map<string, string>() };
const sale = (key: string, rest: Partial<Sale>): Sale => ({
  key,
  at: 1,
  amount: 1_000,
  method: "cash",
  state: "paid",
  ...rest,
});

test("totals are by state and by method, and what came to nothing is in no sum of money", () => {
  const { byStanding, byMethod, all } = totalsOf(
    [
      sale("1", {}),
      sale("2", { amount: 2_000 }),
      sale("3", { method: "promise", state: "promised" }),
      sale("4", { state: "saved", sequence: 4 }),
      sale("5", { state: "given-up", amount: 70_000 }),
      sale("6", { state: "attention", amount: 80_000 }),
    ],
    certain,
  );
  assert.deepEqual(byStanding.get("paid"), { count: 2, amount: 3_000 });
  assert.deepEqual(byStanding.get("given-up"), { count: 1, amount: 70_000 });
  assert.deepEqual(byMethod.get("cash"), { count: 3, amount: 4_000 });
  assert.deepEqual(byMethod.get("promise"), { count: 1, amount: 1_000 });
  assert.deepEqual(all, { count: 4, amount: 5_000 });
});

test("a sale whose answer is missing is counted as unknown, not as saved", () => {
  const { byStanding } = totalsOf([sale("1", { state: "saved", sequence: 4 })], { ...certain, sequence: 4 });
  assert.deepEqual([...byStanding.keys()], ["unknown"]);
});

test("nobody signs out while anything is owed, undecided, half stored or half entered", () => {
  const nothing = { unsent: 0, dead: 0, begun: 0, open: 0 };
  assert.deepEqual(hindrances(nothing), []);
  assert.deepEqual(hindrances({ unsent: 2, dead: 1, begun: 1, open: 1 }), ["unsent", "dead", "begun", "open"]);
  assert.deepEqual(hindrances({ ...nothing, open: 1 }), ["open"]);
});
