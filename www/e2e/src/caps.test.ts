import assert from "node:assert/strict";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

async function promise(till: Till, dollars: number): Promise<void> {
  await till.get("method-promise").click();
  await till.enter(dollars);
}

scenario(
  "unsent promises fill the gauge, the cap blocks the next one but not cash, and sending makes room",
  async (world) => {
    const { city, phone } = world;
    const till = await Till.open(phone, city, "stall-g1");
    await till.enrolled();
    await phone.context.setOffline(true);
    await till.sell(15, "saved");
    await till.next();
    await till.link("down");
    // One promise above the cap of a single sale without a link.
    await promise(till, 1_001);
    await till.page.locator("[data-testid=cap][data-cap=sale]").waitFor();
    assert.equal(await till.get("charge").isDisabled(), true);
    await till.get("clear-cart").click();
    await till.page.locator("[data-testid=fuel][data-level=calm][data-count='0']").waitFor();
    for (let sale = 0; sale < 10; sale += 1) {
      await promise(till, 1_000 - sale);
      await till.get("charge").click();
      await till.card("saved");
      await till.next();
      if (sale === 4) await till.page.locator("[data-testid=fuel][data-count='5']").waitFor();
      if (sale === 5) await till.shoot("05-gauge-half");
    }
    await till.page.locator("[data-testid=fuel][data-count='10'][data-level=high]").waitFor();
    await promise(till, 100);
    await till.page.locator("[data-testid=cap][data-cap=total]").waitFor();
    assert.equal(await till.get("charge").isDisabled(), true);
    await till.shoot("06-gauge-full");
    await till.get("method-cash").click();
    await till.get("cap").waitFor({ state: "detached" });
    await till.get("charge").click();
    await till.card("saved");
    await till.next();

    await phone.context.setOffline(false);
    await till.sendNow();
    await till.pending(0);
    await till.page.locator("[data-testid=fuel][data-level=calm][data-count='0']").waitFor();
    await promise(till, 101);
    await till.get("charge").click();
    await till.card("promised");
    await holds(city, { events: 13, orders: 13, captures: 2 });
  },
);

scenario("a promise that stays unsent for four hours blocks the next one until it is sent", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-g2");
  await till.enrolled();
  await phone.context.setOffline(true);
  await promise(till, 50);
  await till.get("charge").click();
  await till.card("saved");
  await till.next();
  await till.page.locator("[data-testid=fuel][data-count='1'][data-level=calm]").waitFor();
  await till.page.clock.setFixedTime(Date.now() + 4 * 3_600_000 + 1_000);
  await till.page.locator("[data-testid=fuel][data-level=full]").waitFor();
  await promise(till, 60);
  await till.page.locator("[data-testid=cap][data-cap=age]").waitFor();
  assert.equal(await till.get("charge").isDisabled(), true);
  await phone.context.setOffline(false);
  await till.sendNow();
  await till.pending(0);
  await till.get("cap").waitFor({ state: "detached" });
  assert.equal(await till.get("charge").isDisabled(), false);
  await holds(city, { events: 1, orders: 1 });
});

scenario("the gauge is the same in every tab of a till, whichever of them sends", async ({ city, phone }) => {
  const left = await Till.open(phone, city, "stall-g3");
  const right = await Till.open(phone, city, "stall-g3");
  await left.look();
  await left.enrolled();
  await phone.context.setOffline(true);
  for (const [till, dollars] of [
    [left, 50],
    [right, 60],
  ] as const) {
    await till.look();
    await promise(till, dollars);
    await till.get("charge").click();
    await till.card("saved");
    await till.next();
  }
  for (const till of [left, right]) {
    await till.look();
    await till.page.locator("[data-testid=fuel][data-count='2'][data-total='11000']").waitFor();
  }
  await phone.context.setOffline(false);
  await right.sendNow();
  for (const till of [left, right]) {
    await till.look();
    await till.page.locator("[data-testid=fuel][data-count='0']").waitFor();
  }
  await holds(city, { events: 2, orders: 2, captures: 0 });
});
