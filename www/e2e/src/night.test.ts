import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Till } from "./screens.js";
import { holds, scenario } from "./world.js";

scenario(
  "nobody signs out with unsent sales; what is unsent can be handed over; once sent, all is wiped",
  async (world) => {
    const { city, phone } = world;
    const till = await Till.open(phone, city, "stall-n1");
    await till.sell(50, "paid");
    await till.next();
    await phone.context.setOffline(true);
    const unsent = await till.sell(60, "saved");
    await till.next();
    await till.get("night").click();
    await till.page.locator("[data-testid=hindered][data-why=unsent]").waitFor();
    assert.match((await till.get("hindered").textContent()) ?? "", /1 筆/);
    assert.equal(await till.get("sign-out").count(), 0);
    assert.match((await till.get("total-all").textContent()) ?? "", /NT\$110/);
    await till.shoot("10-night-refused");

    const [file] = await Promise.all([till.page.waitForEvent("download"), till.get("export").click()]);
    const told = JSON.parse(await readFile(await file.path(), "utf8")) as { device: string; unsent: { key: string }[] };
    assert.equal(told.device, "stall-n1");
    assert.deepEqual(
      told.unsent.map(({ key }) => key),
      [unsent],
    );

    await phone.context.setOffline(false);
    await till.get("night-close").click();
    await till.sendNow();
    await till.pending(0);
    await till.sales("paid", 2);
    await till.get("night").click();
    await till.get("sign-out").click();
    await till.get("sign-out-back").click();
    await till.get("sign-out").click();
    await till.shoot("11-night-sure");
    await till.get("sign-out-sure").click();
    await till.get("signed-out").waitFor();
    await till.shoot("12-signed-out");
    const left = await till.page.evaluate(async () => {
      const rows = await new Promise((resolve, reject) => {
        const request = indexedDB.open("book-pos-stall-n1");
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const all = request.result.transaction("rows").objectStore("rows").count();
          all.onsuccess = () => resolve(all.result);
        };
      });
      return [localStorage.getItem("conch.token.stall-n1"), rows];
    });
    assert.deepEqual(left, [null, 0]);
    await holds(city, { events: 2, captures: 2 });
  },
);

scenario("signing out in one tab signs the other one out", async ({ city, phone }) => {
  const left = await Till.open(phone, city, "stall-n2");
  const right = await Till.open(phone, city, "stall-n2");
  await left.look();
  await left.enrolled();
  await left.get("night").click();
  await left.get("sign-out").click();
  await left.get("sign-out-sure").click();
  await right.get("signed-out").waitFor();
});
