import assert from "node:assert/strict";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

async function sellTwice(till: Till): Promise<string> {
  const first = await till.sell(80, "paid");
  await till.next();
  await till.enter(80);
  await till.get("charge").click();
  await till.get("repeat").waitFor();
  return first;
}

scenario(
  "the same amount within a minute is asked about, and a second tap charges nothing",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-q1");
    const first = await sellTwice(till);
    await till.shoot("04-repeat");
    await holds(city, { events: 1 });
    await till.get("repeat-twice").click();
    assert.equal(await till.card("paid"), first, "the first sale is shown");
    await till.next();
    await till.total("0");
    await till.sales("paid", 1);
    await holds(city, { events: 1, captures: 1 });
  },
);

scenario("another guest who pays the same is charged after one question", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-q2");
  const first = await sellTwice(till);
  await till.get("repeat-another").click();
  assert.notEqual(await till.card("paid"), first);
  await holds(city, { events: 2, captures: 2 });
});

scenario("a reload with the question open keeps the amount and charges nothing", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-q3");
  await sellTwice(till);
  await till.page.reload();
  await till.ready();
  await till.total("80");
  await till.sales("paid", 1);
  await holds(city, { events: 1 });
  await till.get("charge").click();
  await till.get("repeat").waitFor();
  await till.get("repeat-back").click();
  await till.total("80");
});

scenario("the same amount by another method is not asked about", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-q4");
  await till.sell(80, "paid");
  await till.next();
  await till.get("method-promise").click();
  await till.sell(80, "promised");
  await holds(city, { events: 2 });
});

scenario(
  "a cart that changes in another tab while the question is open is not charged by its answer",
  async (world) => {
    const { city, phone } = world;
    const left = await Till.open(phone, city, "stall-q5");
    await sellTwice(left);
    const right = await Till.open(phone, city, "stall-q5");
    await right.total("80");
    await right.enter(5);
    await left.look();
    await left.get("repeat-another").click();
    await left.get("overtaken").waitFor();
    await left.total("805");
    await holds(city, { events: 1, captures: 1 });
  },
);
