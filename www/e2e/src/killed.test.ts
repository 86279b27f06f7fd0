import assert from "node:assert/strict";
import { Till } from "./screens.js";
import { holds, scenario, type World } from "./world.js";

/** How far a sale had come when everything stopped. */
const moments = ["tapped", "saving", "saved"] as const;

async function tap(till: Till, dollars: number): Promise<void> {
  await till.enter(dollars);
  await till.get("charge").dispatchEvent("click");
}

/** Reopens the till and lets every sale it knows of come to its end. Gives how many there are. */
async function reopen({ city, phone }: World, device: string): Promise<number> {
  const till = await Till.open(phone, city, device);
  await till.sendNow();
  await till.pending(0);
  await till.page.waitForFunction(() => {
    const rows = [...document.querySelectorAll<HTMLElement>("[data-testid=sale-row]")];
    return rows.every((row) => row.dataset.standing === "paid");
  });
  const known = await till.get("sale-row").count();
  await till.page.close();
  return known;
}

for (const moment of moments) {
  scenario(`a tab closed when a sale is ${moment} leaves one sale or none, never two`, async (world) => {
    const till = await Till.open(world.phone, world.city, "stall-k1");
    await till.enrolled();
    await world.city.weather("stall-k1", { mode: "drop-request" });
    await tap(till, 120);
    if (moment !== "tapped") await till.get("sale").waitFor();
    if (moment === "saved") await till.get("next-sale").waitFor();
    await till.page.close();
    await world.city.weather("stall-k1", { mode: "clear" });
    const known = await reopen(world, "stall-k1");
    if (moment === "saved") assert.equal(known, 1, "what said saved is there");
    await holds(world.city, { events: known, captures: known });
  });

  scenario(`a browser killed when a sale is ${moment} leaves one sale or none, never two`, async (world) => {
    const till = await Till.open(world.phone, world.city, "stall-k2");
    await till.enrolled();
    await world.city.weather("stall-k2", { mode: "drop-request" });
    await tap(till, 120);
    if (moment !== "tapped") await till.get("sale").waitFor();
    if (moment === "saved") await till.get("next-sale").waitFor();
    await world.phone.kill();
    await world.phone.boot();
    await world.city.weather("stall-k2", { mode: "clear" });
    const known = await reopen(world, "stall-k2");
    if (moment === "saved") assert.equal(known, 1, "what said saved is there");
    await holds(world.city, { events: known, captures: known });
  });
}

scenario(
  "a sale cut off between the list and the outbox is stored when the till opens again",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-k3");
    await till.enrolled();
    await till.page.evaluate(() => {
      // From here on the outbox's database is gone; the page's own list still writes.
      const { transaction } = IDBDatabase.prototype;
      IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...asked: Parameters<typeof transaction>) {
        if (!this.name.startsWith("book-")) throw new DOMException("cut off", "InvalidStateError");
        return transaction.apply(this, asked);
      };
    });
    await till.enter(90);
    await till.get("charge").click();
    const key = await till.card("unknown");
    await phone.kill();
    await holds(city, { events: 0 });

    await phone.boot();
    const again = await Till.open(phone, city, "stall-k3");
    await again.sendNow();
    assert.equal(await again.card("paid"), key);
    await holds(city, { events: 1, captures: 1 });
  },
);
