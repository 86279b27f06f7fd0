import assert from "node:assert/strict";
import { serveMarket } from "./market.js";
import { Gate, Till } from "./screens.js";
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
  assert.equal(await till.page.getAttribute("html", "lang"), "en");
  assert.match((await till.get("sale-word").textContent()) ?? "", /^Paid/);

  const gate = await Gate.open(phone, city, "gate-l1");
  assert.equal(await gate.page.getAttribute("html", "lang"), "en");
  await gate.scan("T-1", "admitted");
  assert.equal(await gate.get("result-word").textContent(), "Admitted");
  await gate.get("language").click();
  assert.equal(await gate.get("result-word").textContent(), "可以入場");
  await gate.page.reload();
  await gate.ready();
  assert.equal(await gate.page.getAttribute("html", "lang"), "zh-Hant");
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
    await screen.get("language").click();
    await fitsSmallPhone(screen);
  }
  await till.get("pad-keypad").click();
  await fitsSmallPhone(till);
  await till.enter(9);
  await till.get("charge").click();
  await till.card("paid");
  await fitsSmallPhone(till);
});
