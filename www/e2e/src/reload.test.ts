import assert from "node:assert/strict";
import { serveMarket } from "./market.js";
import { Till } from "./screens.js";
import { holds, scenario, type World } from "./world.js";

/** Brings a till into one state of a sale, and says what must be there after a reload. */
interface State {
  name: string;
  reach: (till: Till, world: World) => Promise<void>;
  holds: (till: Till, world: World) => Promise<void>;
}

const nothingCharged = (world: World): Promise<void> => holds(world.city, { events: 0, captures: 0 });

const states: readonly State[] = [
  {
    name: "empty",
    reach: async () => undefined,
    holds: async (till, world) => {
      await till.total("0");
      await till.cart("");
      await nothingCharged(world);
    },
  },
  {
    name: "half typed",
    reach: async (till) => {
      await till.get("pad-keypad").click();
      await till.enter(12);
      await till.draftKept("12");
    },
    holds: async (till, world) => {
      await till.total("12");
      await nothingCharged(world);
    },
  },
  {
    name: "in the cart",
    reach: async (till) => {
      await till.tap("squid", "tea");
      await till.draftKept("0 squid×1 tea×1");
    },
    holds: async (till, world) => {
      await till.cart("squid×1 tea×1");
      await nothingCharged(world);
    },
  },
  {
    name: "charging",
    reach: async (till, { city }) => {
      await city.weather("stall-s1", { mode: "delay", delayMs: 5_000 });
      await till.tap("ice");
      await till.get("charge").dispatchEvent("click");
    },
    holds: async (till, { city }) => {
      await city.weather("stall-s1", { mode: "clear" });
      await till.sendNow();
      await till.pending(0);
      const sold = await till.get("sale-row").count();
      await till.sales("paid", sold);
      await till.cart(sold === 1 ? "" : "ice×1");
      await holds(city, { events: sold, captures: sold });
    },
  },
  {
    name: "saved",
    reach: async (till, { phone }) => {
      await phone.context.setOffline(true);
      await till.tap("ice");
      await till.get("charge").click();
      await till.card("saved");
    },
    holds: async (till, { phone, city }) => {
      await till.sales("saved", 1);
      await till.cart("");
      await phone.context.setOffline(false);
      await till.sendNow();
      await till.sales("paid", 1);
      await holds(city, { events: 1, captures: 1 });
    },
  },
  {
    name: "unknown",
    reach: async (till, { city }) => {
      await city.weather("stall-s1", { mode: "drop-answer" });
      await till.tap("ice");
      await till.get("charge").click();
      await till.card("unknown");
    },
    holds: async (till, { city }) => {
      await till.sales("unknown", 1);
      await city.weather("stall-s1", { mode: "clear" });
      await till.sendNow();
      await till.sales("paid", 1);
      await till.cart("");
      await holds(city, { events: 1, captures: 1 });
    },
  },
  {
    name: "paid",
    reach: async (till) => {
      await till.tap("ice");
      await till.get("charge").click();
      await till.card("paid");
    },
    holds: async (till, { city }) => {
      await till.sales("paid", 1);
      await till.cart("");
      await holds(city, { events: 1, captures: 1 });
    },
  },
  {
    name: "refused",
    reach: async (till, { city }) => {
      // Somebody enrolled this till as a gate.
      const token = await city.enrol("stall-s1", "gate");
      await till.page.evaluate((value) => localStorage.setItem("conch.token.stall-s1", value), token);
      await till.page.reload();
      await till.ready();
      await till.tap("ice");
      await till.get("charge").click();
      await till.card("attention");
    },
    holds: async (till, { city }) => {
      await till.sales("attention", 1);
      await till.attention(1);
      await till.cart("");
      await holds(city, { captures: 0 });
    },
  },
];

for (const state of states) {
  scenario(`a reload with a sale ${state.name} shows the same, and nothing is charged twice`, async (world) => {
    const { city, phone } = world;
    await serveMarket(phone, "stall-s1");
    const till = await Till.open(phone, city, "stall-s1");
    await till.get("menu").waitFor();
    await till.enrolled();
    await till.shellKept();
    await state.reach(till, world);
    await till.page.reload();
    await till.ready();
    await state.holds(till, world);
    assert.deepEqual(phone.complaints, []);
  });
}
