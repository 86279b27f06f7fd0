import assert from "node:assert/strict";
import { Gate, STORED, Till } from "./screens.js";
import { holds, reaches, scenario } from "./world.js";

scenario(
  "a sale whose answer is lost after the commit reads unknown, then paid, and is charged once",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-w1");
    await till.enrolled();
    await city.weather("stall-w1", { mode: "drop-answer" });
    const key = await till.sell(120, "unknown");
    await reaches(city, { events: 1, captures: 1 });

    await city.weather("stall-w1", { mode: "clear" });
    await till.sendNow();
    await till.page.locator(`[data-testid=sale][data-key="${key}"][data-standing=paid]`).waitFor();
    await till.pending(0);
    await holds(city, { events: 1, orders: 1, captures: 1 });
  },
);

scenario(
  "a sale made offline reads saved, then unknown when its answer is lost, then paid",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-w3");
    await till.enrolled();
    await phone.context.setOffline(true);
    await till.sell(65, "saved");
    await till.link("down");
    await till.sales("saved", 1);

    await city.weather("stall-w3", { mode: "drop-answer" });
    await phone.context.setOffline(false);
    await till.sendNow();
    await till.card("unknown");
    await city.weather("stall-w3", { mode: "clear" });
    await till.sendNow();
    await till.card("paid");
    await holds(city, { events: 1, captures: 1 });
  },
);

scenario(
  "a scan whose answer is lost after the commit is admitted once and not called already used",
  async ({ city, phone }) => {
    const gate = await Gate.open(phone, city, "gate-w1");
    await gate.enrolled();
    await city.weather("gate-w1", { mode: "drop-answer" });
    await gate.scan("T-41", "saved");
    await reaches(city, { events: 1, admissions: 1 });

    await city.weather("gate-w1", { mode: "clear" });
    await gate.sendNow();
    await gate.result("T-41", "admitted");
    await holds(city, { events: 1, admissions: 1, scans: 1 });
  },
);

scenario(
  "behind a captive portal nothing is settled and nothing dies; later all is delivered",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-w2");
    const gate = await Gate.open(phone, city, "gate-w2");
    await till.enrolled();
    await gate.enrolled();
    await city.weather("*", { mode: "captive-html" });
    await till.look();
    const key = await till.sell(80, STORED);
    await gate.look();
    await gate.scan("T-42", "saved");
    for (const screen of [till, gate]) {
      await screen.look();
      await screen.sendNow();
      await screen.link("captive");
      await screen.pending(1);
      await screen.attention(0);
    }
    assert.equal(await till.card(STORED), key);
    await holds(city, { events: 0 });

    await city.weather("*", { mode: "clear" });
    await till.sendNow();
    await gate.sendNow();
    await till.card("paid");
    await gate.result("T-42", "admitted");
    await holds(city, { events: 2, captures: 1, admissions: 1 });
  },
);
