import assert from "node:assert/strict";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

scenario(
  "a till enrols with a one-time code from its address, which then is in the address no more",
  async ({ city, phone }) => {
    const code = await city.code("stall-c1", "vendor");
    const till = new Till(await phone.open(`${city.origin}/pos/?device=stall-c1#enrol=${code}`));
    await till.ready();
    await till.enrolled();
    assert.doesNotMatch(till.page.url(), /enrol/);
    await till.sell(120, "paid");
    await holds(city, { captures: 1 });

    await till.page.reload();
    await till.ready();
    await till.enrolled();
  },
  "evening",
);

scenario(
  "a till without a code sells, says that it waits for one, and sends once a person types it",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-c2");
    await till.get("enrol-code").waitFor();
    await till.sell(80, "saved");
    await till.pending(1);

    await till.get("enrol-code").fill("WRONG-CODE");
    await till.get("enrol-submit").click();
    await till.page.locator("[data-testid=enrolment][data-step=wrong-code]").waitFor();
    await holds(city, { events: 0 });

    await till.get("enrol-code").fill(await city.code("stall-c2", "vendor"));
    await till.get("enrol-submit").click();
    await till.enrolled();
    await till.card("paid");
    await holds(city, { events: 1, captures: 1 });
  },
  "evening",
);
