import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

const plan = join(mkdtempSync(join(tmpdir(), "conch-circuits-")), "circuits.json");
writeFileSync(plan, JSON.stringify([{ circuit: "c4", limitWatts: 3_000, stalls: { "stall-p1": 9, "fridge-1": 1 } }]));

scenario(
  "a till that is told that power goes counts down, sends what is unsent, and knows it after a reload",
  async ({ city, phone }) => {
    // It listens before the city asks for patience: what it is told then still comes.
    const listens = phone.context.waitForEvent("request", (request) => request.url().endsWith("wait=25"));
    const till = await Till.open(phone, city, "stall-p1");
    await till.enrolled();
    await listens;
    const [stall, fridge] = await Promise.all([city.enrol("stall-p1", "vendor"), city.enrol("fridge-1", "vendor")]);
    const draws = (device: string, token: string, watts: number): Promise<void> =>
      city.say(device, token, { type: "ops.power.v1.load_reported", key: "c4", data: { watts } });
    // The city is overloaded and asks for an hour's patience, which only a person may cut short, and a power cut.
    await phone.context.route("**/v1/events", (route) =>
      route.fulfill({ status: 503, headers: { "conch-city": "a-test", "retry-after": "3600" } }),
    );
    await till.sell(30, "saved|unknown");
    await till.next();
    await till.page.locator("[data-testid=outlook][data-why=waiting-told]").waitFor();
    await phone.context.unroute("**/v1/events");
    const before = await till.get("keypad").boundingBox();
    await draws("stall-p1", stall, 1_500);
    await draws("fridge-1", fridge, 1_400);
    await till.page.locator("[data-testid=power][data-step=shed]").waitFor();
    assert.match((await till.get("power").textContent()) ?? "", /\d+ 秒後/);
    assert.deepEqual(await till.get("keypad").boundingBox(), before, "nothing moves under a finger");
    await till.pending(0);
    await till.sales("paid", 1);
    await till.shoot("17-power");
    // Work goes on under the notice.
    await till.sell(45, "paid");
    await till.page.reload();
    await till.ready();
    await till.get("power").waitFor();
    await till.page.locator("[data-testid=power][data-step=gone]").waitFor();
    await till.get("power-close").click();
    await till.get("power").waitFor({ state: "detached" });
    await holds(city, { captures: 2 });
  },
  "development",
  ["--circuits", plan],
);
