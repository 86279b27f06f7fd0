import assert from "node:assert/strict";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

scenario("every unsent sale is on the list with how it stands, and can be sent from there", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-u1");
  await till.enrolled();
  await city.weather("stall-u1", { mode: "drop-answer" });
  const unknown = await till.sell(120, "unknown");
  await till.next();
  await phone.context.setOffline(true);
  const waiting = await till.sell(65, "saved");
  await till.next();
  await till.get("fuel").click();
  await till.page.locator(`[data-testid=owed-row][data-key="${unknown}"][data-state=unknown]`).waitFor();
  const row = till.page.locator(`[data-testid=owed-row][data-key="${waiting}"]`);
  await row.waitFor();
  assert.match((await row.textContent()) ?? "", /NT\$65/);
  await till.get("unsent-outlook").waitFor();
  await till.shoot("07-unsent");
  await city.weather("stall-u1", { mode: "clear" });
  await phone.context.setOffline(false);
  await till.get("unsent-send").click();
  await till.get("unsent-empty").waitFor();
  await till.get("unsent-close").click();
  await till.sales("paid", 2);
  await holds(city, { events: 2, captures: 2 });
});

scenario(
  "a try that cannot have left the phone is called the same on the list as on the sale's card",
  async (world) => {
    const { city, phone } = world;
    const till = await Till.open(phone, city, "stall-u2");
    await till.enrolled();
    await phone.context.setOffline(true);
    await till.sell(65, "saved");
    await till.sendNow();
    await till.get("fuel").click();
    const tried = till.page.locator("[data-testid=owed-row]:not([data-tries='0'])");
    await tried.waitFor();
    assert.equal(await tried.getAttribute("data-state"), "unanswered");
    await till.get("unsent-close").click();
    await till.card("saved");
    await holds(city, { events: 0 });
  },
);
