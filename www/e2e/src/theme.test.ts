import assert from "node:assert/strict";
import { Gate, Till } from "./screens.js";
import { scenario } from "./world.js";

scenario(
  "the screen is dark until a person wants contrast, and remembers it on every page",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-t1");
    assert.equal(await till.theme(), "night");
    await till.get("theme").click();
    assert.equal(await till.theme(), "contrast");
    const paint = await till.page.evaluate(() => [
      getComputedStyle(document.body).backgroundColor,
      document.querySelector("meta[name=theme-color]")?.getAttribute("content"),
    ]);
    assert.deepEqual(paint, ["rgb(255, 255, 255)", "#fff"]);
    await till.page.reload();
    await till.ready();
    assert.equal(await till.theme(), "contrast");
    assert.equal(await (await Gate.open(phone, city, "gate-t1")).theme(), "contrast");
  },
);

scenario("who asks the system for more contrast has it, unless a choice was made", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-t2");
  await till.page.emulateMedia({ contrast: "more" });
  await till.page.waitForFunction(() => document.documentElement.dataset.theme === "contrast");
  await till.page.reload();
  await till.ready();
  assert.equal(await till.theme(), "contrast");
  await till.get("theme").click();
  await till.page.reload();
  await till.ready();
  assert.equal(await till.theme(), "night", "a choice outranks the system");
});
