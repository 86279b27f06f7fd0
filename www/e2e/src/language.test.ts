import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Route } from "playwright-core";
import { serveMarket } from "./market.js";
import { Gate, type Screen, Till } from "./screens.js";
import { until } from "./until.js";
import { scenario } from "./world.js";

const POLICY =
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'";

scenario("both pages speak Chinese first, English on request, and remember it", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-l1");
  assert.equal(await till.page.getAttribute("html", "lang"), "zh-Hant");
  assert.equal(await till.page.title(), "攤位收款");
  await till.sell(120, "paid");
  assert.match((await till.get("sale-word").textContent()) ?? "", /已收款/);
  await till.get("language").click();
  await till.speaks("en");
  assert.match((await till.get("sale-word").textContent()) ?? "", /^Paid/);

  const gate = await Gate.open(phone, city, "gate-l1");
  assert.equal(await gate.page.getAttribute("html", "lang"), "en");
  await gate.scan("T-1", "admitted");
  assert.equal(await gate.get("result-word").textContent(), "Admitted");
  await gate.get("language").click();
  await gate.speaks("zh-Hant");
  assert.equal(await gate.get("result-word").textContent(), "可以入場");
  await gate.page.reload();
  await gate.ready();
  assert.equal(await gate.page.getAttribute("html", "lang"), "zh-Hant");
});

/** Which files of English words this load of the page asked for; what its worker fetches is not among them. */
function englishAsked({ page }: Screen): Promise<string[]> {
  return page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .map(({ name }) => new URL(name).pathname)
      .filter((path) => /\/assets\/en-[\w-]+\.js$/.test(path)),
  );
}

scenario("a first load in Chinese leaves the English words alone; they are there without network", async (world) => {
  const { city, phone } = world;
  for (const screen of [await Till.open(phone, city, "stall-l4"), await Gate.before(phone, city, "gate-l4")]) {
    await screen.look();
    await screen.enrolled();
    await screen.shellKept();
    await screen.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    assert.deepEqual(await englishAsked(screen), []);

    await phone.context.setOffline(true);
    await screen.speak("en");
    assert.equal((await englishAsked(screen)).length, 2, "the page's own words and the shared ones");
    await screen.page.reload();
    await screen.ready();
    await screen.speaks("en");
    assert.match((await screen.page.locator("body").innerText()).slice(0, 200), /To send/);
    await screen.speak("zh-Hant");
    await phone.context.setOffline(false);
  }
});

scenario("a page that starts in English never shows a Chinese word before", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-l5");
  await till.speak("en");
  // Every text that is ever put on the page, from the first one on.
  await till.page.addInitScript(() => {
    const shown: string[] = [];
    Object.assign(globalThis, { shown });
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const bar = target instanceof Element ? target.querySelector("[data-testid=send-now]") : null;
        if (bar?.textContent) shown.push(bar.textContent);
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await till.page.reload();
  await till.ready();
  const shown = await till.page.evaluate(() => (globalThis as unknown as { shown: string[] }).shown);
  assert.deepEqual([...new Set(shown)], ["Send now"]);
});

scenario("without its English words a page speaks Chinese, whatever is remembered", async ({ city, phone }) => {
  for (const file of await readdir(join(city.pages, "pos/assets"))) {
    if (file.startsWith("en-")) await rm(join(city.pages, "pos/assets", file));
  }
  const till = await Till.open(phone, city, "stall-l6");
  const failed = till.page.waitForEvent("response", (answer) => answer.status() === 404);
  await till.get("language").click();
  await failed;
  await till.sell(20, "paid");
  await till.speaks("zh-Hant");
  await till.page.evaluate(() => localStorage.setItem("conch.language", "en"));
  await till.page.reload();
  await till.ready();
  await till.speaks("zh-Hant");
  await till.sell(30, "paid");
  assert.equal(await till.page.evaluate(() => localStorage.getItem("conch.language")), "en", "for when they are there");
});

scenario("a page whose English words hang starts in Chinese, and speaks English once they come", async (world) => {
  const { city, phone } = world;
  const held: Route[] = [];
  await phone.context.route(/\/assets\/en-/, (route) => void held.push(route));
  await phone.context.addInitScript(() => localStorage.setItem("conch.language", "en"));
  const till = await Till.open(phone, city, "stall-l7");
  await till.speaks("zh-Hant");
  await till.get("charge").waitFor();
  assert.ok(held.length >= 2, "the page's own words and the shared ones, and perhaps the worker's");
  for (const route of held) await route.continue();
  await till.speaks("en");
});

scenario("both pages live under the strict policy and complain about nothing", async ({ city, phone }) => {
  for (const path of ["pos", "scanner"]) {
    const answer = await fetch(`${city.origin}/${path}/`);
    const policy = answer.headers.get("content-security-policy") ?? "";
    for (const rule of POLICY.split("; ")) assert.ok(policy.includes(rule), `${path}: ${rule}`);
  }
  const till = await Till.open(phone, city, "stall-l2");
  const gate = await Gate.open(phone, city, "gate-l2");
  await till.get("attention").click();
  await till.get("dead-empty").waitFor();
  await till.get("attention-close").click();
  await till.sell(10, "paid");
  await gate.scan("T-2", "admitted");
  // The phone fails the test at its end for any error, exception or broken policy; so it must hear of one.
  assert.deepEqual(phone.complaints, []);
  await till.page.evaluate(() => {
    document.body.insertAdjacentHTML("beforeend", '<p style="color: red">');
  });
  await until("the complaint", async () => phone.complaints.some((said) => said.startsWith("policy: style-src")));
  phone.complaints.length = 0;
});

async function fitsSmallPhone({ page }: Till | Gate): Promise<void> {
  const small = await page.locator("button, input:not([type=radio]), label").evaluateAll((targets) =>
    targets
      .map((target) => ({ name: target.textContent, box: target.getBoundingClientRect() }))
      .filter(({ box }) => box.height > 0 && (box.height < 48 || box.width < 48))
      .map(({ name, box }) => `${name}: ${box.width}x${box.height}`),
  );
  assert.deepEqual(small, []);
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(sideways <= 0, "nothing scrolls sideways");
}

scenario("every target is at least 48 pixels high and wide, on a small phone too", async ({ city, phone }) => {
  await serveMarket(phone, "stall-l3");
  const till = await Till.open(phone, city, "stall-l3");
  await till.tap("squid", "tofu");
  for (const screen of [till, await Gate.open(phone, city, "gate-l3")]) {
    await screen.page.setViewportSize({ width: 360, height: 640 });
    await fitsSmallPhone(screen);
    await screen.speak("en");
    await fitsSmallPhone(screen);
  }
  await till.get("pad-keypad").click();
  await fitsSmallPhone(till);
  await till.enter(9);
  await till.get("charge").click();
  await till.card("paid");
  await fitsSmallPhone(till);
});
