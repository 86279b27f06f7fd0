import assert from "node:assert/strict";
import { join } from "node:path";
import { serveMarket } from "./market.js";
import { Till } from "./screens.js";
import { scenario } from "./world.js";

scenario("a receipt says what was sold under which number, and that it was taken offline", async ({ city, phone }) => {
  await serveMarket(phone, "stall-v1");
  const till = await Till.open(phone, city, "stall-v1");
  await till.enrolled();
  await till.get("menu").waitFor();
  await phone.context.setOffline(true);
  // The first one teaches the till that nobody answers.
  await till.tap("tea");
  await till.get("charge").click();
  await till.card("saved");
  await till.link("down");
  await till.next();
  await till.tap("squid", "squid");
  await till.get("charge").click();
  const key = await till.card("saved");
  await till.get("receipt").click();
  const paper = till.get("paper");
  const before = (await paper.textContent()) ?? "";
  for (const word of ["蒼螺夜市", "阿明海鮮", "炭烤大魷魚", "NT$240", key.slice(-8), key, "離線收款", "尚未確認"]) {
    assert.ok(before.includes(word), `${word} in ${before}`);
  }
  await till.shoot("18-receipt-offline");
  await phone.context.setOffline(false);
  await till.get("receipt-close").click();
  await till.sendNow();
  await till.card("paid");
  await till.get("receipt").click();
  const after = (await paper.textContent()) ?? "";
  assert.ok(!after.includes("尚未確認") && after.includes("離線收款"), after);

  await till.page.emulateMedia({ media: "print" });
  const shown = await till.page.evaluate(() =>
    ["bar", "receipt-close", "print", "paper"].map((name) => {
      const found = document.querySelector(name === "bar" ? ".bar" : `[data-testid=${name}]`);
      return found instanceof HTMLElement && found.checkVisibility();
    }),
  );
  assert.deepEqual(shown, [false, false, false, true], "paper carries the receipt alone");
  const folder = process.env.CONCH_SHOTS;
  if (folder !== undefined) await till.page.screenshot({ path: join(folder, "19-print.png") });
  await till.page.emulateMedia({ media: null });
});
