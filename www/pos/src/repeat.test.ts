import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "./limits.ts";
import { twinOf } from "./repeat.ts";
import type { Sale } from "./sale.ts";

const sale: Sale = { key: "order-1", at: 1_000_000, amount: 3_000, method: "cash", state: "paid" };
const asked = { amount: 3_000, method: "cash" } as const;

test("the same amount by the same method within a minute is asked about", () => {
  assert.equal(twinOf(asked, [sale], sale.at + limits.repeatMs - 1), sale);
  assert.equal(twinOf(asked, [sale], sale.at + limits.repeatMs), null);
});

test("another amount or another method is another sale", () => {
  assert.equal(twinOf({ ...asked, amount: 3_100 }, [sale], sale.at), null);
  assert.equal(twinOf({ ...asked, method: "promise" }, [sale], sale.at), null);
});

test("a sale that came to nothing is no reason to ask", () => {
  for (const state of ["given-up", "attention"] as const)
    assert.equal(twinOf(asked, [{ ...sale, state }], sale.at), null);
  for (const state of ["begun", "saved", "promised"] as const) {
    assert.equal(twinOf(asked, [{ ...sale, state }], sale.at)?.key, sale.key);
  }
});

test("a clock that was set back a little still asks, one that was set back far does not ask for ever", () => {
  assert.equal(twinOf(asked, [sale], sale.at - 5_000), sale);
  assert.equal(twinOf(asked, [sale], sale.at - 3_600_000), null);
});
