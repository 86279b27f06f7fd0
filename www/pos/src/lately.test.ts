import assert from "node:assert/strict";
import { test } from "node:test";
import { typedLately } from "./lately.ts";
import type { Sale } from "./sale.ts";

function sale(change: Partial<Sale>, ...typed: number[]): Sale {
  const lines = typed.map((price) => ({ item: `=${price / 100}`, name: null, price, count: 1 }));
  return { key: "order-1", at: 0, amount: 0, method: "cash", state: "paid", lines, ...change };
}

test("the amounts typed last are offered, each once and by size", () => {
  assert.deepEqual(typedLately([sale({}, 12_000), sale({}, 4_500, 12_000), sale({}, 30_000)]), [4_500, 12_000]);
});

test("an amount too long for its button is left out", () => {
  assert.deepEqual(typedLately([sale({}, 100_000), sale({}, 99_900)]), [99_900]);
});

test("what stands on the menu and what was given up is left out", () => {
  const tea = { item: "tea", name: { "zh-Hant": "茶", en: "Tea" }, price: 5_000, count: 1 };
  assert.deepEqual(
    typedLately([sale({ lines: [tea] }), sale({ state: "given-up" }, 12_000), sale({}, 4_500)]),
    [4_500],
  );
  const { lines: _, ...older } = sale({});
  assert.deepEqual(typedLately([older]), []);
});
