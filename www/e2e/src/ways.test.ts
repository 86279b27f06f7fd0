import assert from "node:assert/strict";
import type { Phone } from "./phone.js";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

/** In the city's place, refuses every event for this reason. */
async function refuseAll(phone: Phone, code: string): Promise<void> {
  await phone.context.route("**/v1/events", async (route) => {
    const sent = [JSON.parse(route.request().postData() ?? "{}") as { id: string } | { id: string }[]].flat();
    const problem = { type: `urn:conch:problem:${code}`, title: code };
    await route.fulfill({
      status: 200,
      headers: { "content-type": "application/json", "conch-city": "a-test" },
      body: JSON.stringify({ verdicts: sent.map(({ id }) => ({ id, verdict: "refused", problem })) }),
    });
  });
}

async function refusedSale(till: Till, phone: Phone, code: string): Promise<string> {
  await till.enrolled();
  await refuseAll(phone, code);
  const key = await till.sell(120, "attention");
  await till.attention(1);
  await phone.context.unroute("**/v1/events");
  await till.get("open-attention").click();
  return key;
}

scenario(
  "a refused sale is taken another way: the same order, another attempt, one payment",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-f1");
    const key = await refusedSale(till, phone, "something-new");
    await till.page.locator("[data-testid=ways][data-advice=refused]").waitFor();
    await till.shoot("08-dead-refused");
    await till.get("redrive-otherwise").click();
    await till.get("instead-confirmed_elsewhere").click();
    await till.get("dead-empty").waitFor();
    await till.get("attention-close").click();
    assert.equal(await till.card("paid"), key);
    await holds(city, { events: 1, orders: 1, captures: 1 });
  },
);

scenario(
  "a sale the city cannot read is given up and entered anew, with a number of its own",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-f2");
    const key = await refusedSale(till, phone, "bad-payload");
    await till.page.locator("[data-testid=ways][data-advice=unreadable]").waitFor();
    assert.equal(await till.get("redrive").count(), 0, "as it is it would be refused again");
    await till.get("enter-again").click();
    await till.total("120");
    await till.get("charge").click();
    assert.notEqual(await till.card("paid"), key);
    await till.sales("given-up", 1);
    await till.attention(0);
    await holds(city, { events: 1, orders: 1, captures: 1 });
  },
);

scenario("an order that is paid already can only be voided", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-f3");
  await refusedSale(till, phone, "already-paid");
  await till.page.locator("[data-testid=ways][data-advice=already]").waitFor();
  assert.equal(await till.get("redrive").count(), 0);
  assert.equal(await till.get("enter-again").count(), 0);
  await till.shoot("09-dead-already");
  await till.get("discard").click();
  await till.get("discard-handled").click();
  await till.get("dead-empty").waitFor();
  await till.get("attention-close").click();
  await till.card("given-up");
  await holds(city, { events: 0 });
});
