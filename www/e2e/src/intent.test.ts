import assert from "node:assert/strict";
import { Gate, STORED, Till } from "./screens.js";
import { holds, reaches, scenario } from "./world.js";

const STORED_OR_PAID = `${STORED}|paid`;

scenario("two taps on one sale are one sale", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-i1");
  await till.enter(65);
  await till.get("charge").evaluate((button: HTMLElement) => {
    button.click();
    button.click();
  });
  await till.card("paid");
  await till.next();
  await till.enter(66);
  await till.get("charge").dblclick();
  await till.sales("paid", 2);
  await till.pending(0);
  await holds(city, { events: 2, orders: 2, captures: 2 });
});

scenario("two equal sales are two sales once a person says that it is another guest", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-i2");
  const first = await till.sell(30, "paid");
  await till.next();
  await till.enter(30);
  await till.get("charge").click();
  await till.get("repeat-another").click();
  const second = await till.card("paid");
  assert.notEqual(first, second);
  await holds(city, { events: 2, orders: 2, captures: 2 });
});

scenario("two tabs of one till sell side by side, and each sees the other's sales paid", async ({ city, phone }) => {
  const left = await Till.open(phone, city, "stall-i5");
  const right = await Till.open(phone, city, "stall-i5");
  await left.look();
  await left.sell(41, STORED_OR_PAID);
  await right.look();
  await right.sell(42, STORED_OR_PAID);
  for (const till of [left, right]) {
    await till.look();
    await till.sales("paid", 2);
    await till.pending(0);
  }
  await holds(city, { events: 2, orders: 2, captures: 2 });
});

scenario("a sale needs no more than a keyboard", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-i4");
  for (const key of ["1", "2", "5", "Backspace", "0", "Enter"]) await till.page.keyboard.press(key);
  await till.card("paid");
  assert.match((await till.get("sale").textContent()) ?? "", /NT\$120/);
  await till.page.keyboard.press("Enter");
  await till.get("charge").waitFor();
  await holds(city, { events: 1, captures: 1 });
});

scenario("a promise is recorded as a promise and never called paid", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-i3");
  await till.get("method-promise").click();
  await till.sell(500, "promised");
  await till.sales("paid", 0);
  await holds(city, { orders: 1, captures: 0 });
});

scenario(
  "the same ticket in the same hand is one scan; on another gate it is already used",
  async ({ city, phone }) => {
    const north = await Gate.open(phone, city, "gate-i1");
    await north.scan("T-7", "admitted");
    await north.scan("T-7", "same");
    await holds(city, { scans: 1, admissions: 1 });

    const south = await Gate.open(phone, city, "gate-i2");
    await south.scan("T-7", "used");
    assert.match((await south.get("result").textContent()) ?? "", /gate-i1/);
    // It is said before it is sent: the city was asked.
    await reaches(city, { scans: 2, admissions: 1 });
  },
);

scenario("a bank card held under the scanner is no ticket and is not kept", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-i3");
  await gate.scan("T-8", "admitted");
  await gate.page.keyboard.type("4111111111111111");
  await gate.page.keyboard.press("Enter");
  await gate.result("", "not-ticket");
  await gate.pending(0);
  assert.doesNotMatch((await gate.page.textContent("body")) ?? "", /4111/);
  await holds(city, { events: 1 });
});
