import assert from "node:assert/strict";
import { test } from "node:test";
import { erased, money, shortKey, ticketFrom, typed } from "./figures.ts";

test("minor units read as dollars, with cents only when there are any", () => {
  assert.equal(money(12_000), "NT$120");
  assert.equal(money(123_456_700), "NT$1,234,567");
  assert.equal(money(5), "NT$0.05");
});

test("the keypad takes no digit beyond its limit and never a leading zero", () => {
  assert.equal(typed(0, "0", 6), 0);
  assert.equal(typed(0, "7", 6), 7);
  assert.equal(typed(12_345, "6", 6), 123_456);
  assert.equal(typed(123_456, "7", 6), 123_456);
  assert.equal(typed(12_345, "00", 6), 12_345);
  assert.equal(erased(123), 12);
  assert.equal(erased(0), 0);
});

test("a ticket code loses the blanks around it and nothing else", () => {
  assert.equal(ticketFrom("  T-1 \r", 128), "T-1");
});

test("what can be no key is no ticket", () => {
  for (const input of ["", "   ", "two words", "票券", "x".repeat(129)]) assert.equal(ticketFrom(input, 128), null);
  assert.equal(ticketFrom("x".repeat(128), 128), "x".repeat(128));
});

test("a long key is shown by its end, where two keys differ", () => {
  assert.equal(shortKey("order-ABCDEFGH12345678"), "…12345678");
  assert.equal(shortKey("T-41"), "T-41");
});
