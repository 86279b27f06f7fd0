import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  choose,
  count,
  type Draft,
  digits,
  empty,
  emptyDraft,
  eraseOne,
  held,
  isSame,
  keepTyped,
  type Line,
  linesOf,
  remove,
  type Step,
  totalOf,
} from "./cart.ts";

const squid: Line = { item: "squid", name: { "zh-Hant": "烤魷魚", en: "Squid" }, price: 12_000, count: 1 };
const tea: Line = { item: "tea", name: { "zh-Hant": "紅茶", en: "Tea" }, price: 3_000, count: 1 };
const after = (...steps: Step[]): Draft => steps.reduce((draft, next) => next(draft), emptyDraft(1));

test("tapping the menu twice is one line of two", () => {
  const draft = after(add(squid), add(tea), add(squid));
  assert.deepEqual(
    draft.lines.map((line) => [line.item, line.count]),
    [
      ["squid", 2],
      ["tea", 1],
    ],
  );
  assert.equal(totalOf(draft), 27_000);
});

test("a typed amount is part of the total and becomes a line of the sale", () => {
  const draft = after(add(tea), digits("4"), digits("5"));
  assert.equal(totalOf(draft), 7_500);
  assert.deepEqual(linesOf(draft)[1], { item: "=45", name: null, price: 4_500, count: 1 });
  assert.equal(totalOf(keepTyped(draft)), 7_500, "kept, it counts once");
  assert.equal(keepTyped(draft).dollars, 0);
});

test("the last one of a line taken away is no line, and a removed line takes all of them", () => {
  assert.deepEqual(after(add(squid), count(squid, -1)).lines, []);
  assert.deepEqual(after(add(squid), add(squid), remove(squid)).lines, []);
});

test("an item whose price changed meanwhile is a line of its own", () => {
  const draft = after(add(tea), add({ ...tea, price: 3_500 }));
  assert.deepEqual(
    draft.lines.map((line) => line.price),
    [3_000, 3_500],
  );
  assert.equal(count(tea, -1)(draft).lines.length, 1);
});

test("no sale becomes larger than the keypad could type", () => {
  const dear = { ...squid, price: 99_999_900 };
  const draft = after(add(dear), add(dear), digits("1"));
  assert.equal(totalOf(draft), 99_999_900);
});

test("a hold is for one content: any change of it drops the hold, what changes nothing does not", () => {
  const hold = { order: "order-1", intent: "i-1" };
  const draft = after(add(tea), held(hold));
  assert.deepEqual(eraseOne(draft).hold, hold, "nothing was typed, so nothing is erased");
  for (const change of [add(tea), digits("1"), choose("promise"), empty]) assert.equal(change(draft).hold, null);
});

test("two drafts are the same when they charge the same, whenever they were made", () => {
  assert.ok(isSame(after(add(tea)), { ...after(add(tea)), at: 99 }));
  assert.ok(!isSame(after(add(tea)), after(add(tea), choose("promise"))));
});
