// Every state of every screen is looked at: a page that gets a new one adds a line here.
import assert from "node:assert/strict";
import { look } from "./look.js";
import { Gate, type Screen, Till } from "./screens.js";
import { until } from "./until.js";
import { scenario } from "./world.js";

/** `gateLimits.sameTicketMs` of the scanner, and a moment. */
const SAME_TICKET_MS = 5_500;

scenario("the scanner is fit to be looked at in every state", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-v1");
  await gate.enrolled();
  await gate.link("up");
  const see = (state: string): Promise<void> => look(gate.page, `scanner ${state}`);
  await see("idle");
  await gate.get("attention").click();
  await see("attention empty");
  await gate.get("attention-close").click();

  await gate.scan("T-1", "admitted");
  const admittedAt = Date.now();
  await see("admitted");
  await gate.page.keyboard.type("4111111111111111");
  await gate.page.keyboard.press("Enter");
  await gate.page.locator("[data-testid=result][data-standing=not-ticket]").waitFor();
  await see("not a ticket");
  await phone.context.setOffline(true);
  await gate.scan("T-2", "saved");
  await gate.link("down");
  await see("saved offline");
  await gate.scan("T-5", "saved");
  await gate.scan("T-5", "same");
  await see("same ticket");
  // Later than a hand would hold the ticket before the camera.
  await until("a second visit", async () => Date.now() - admittedAt > SAME_TICKET_MS);
  await gate.scan("T-1", "used-here");
  await see("used here");
  await phone.context.setOffline(false);
  await gate.sendNow();
  await gate.pending(0);

  const other = await Gate.open(phone, city, "gate-v2");
  await other.scan("T-3", "admitted");
  await gate.look();
  await gate.scan("T-3", "used");
  await see("used elsewhere");
  await city.weather("gate-v1", { mode: "captive-html" });
  await gate.scan("T-4", "saved");
  await gate.link("captive");
  await see("behind a portal");
});

/** Gives a page a token that was given for another role: the city refuses what it sends. */
async function carry(screen: Screen, device: string, token: string): Promise<void> {
  await screen.page.evaluate(([name, value]) => localStorage.setItem(String(name), String(value)), [
    `conch.token.${device}`,
    token,
  ] as const);
  await screen.page.reload();
  await screen.ready();
}

scenario("the till is fit to be looked at in every state", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-v1");
  await till.enrolled();
  await till.link("up");
  const see = (state: string): Promise<void> => look(till.page, `pos ${state}`);
  await see("idle");
  await till.enter(123456);
  await see("largest amount");
  await till.get("charge").click();
  await till.card("paid");
  await see("paid");
  await till.next();
  await phone.context.setOffline(true);
  await till.sell(80, "saved");
  await till.link("down");
  await see("saved offline");
  await till.next();
  await till.enter(9999);
  await see("keypad with rows, and an amount typed before");
  await till.get("clear-cart").click();
  await city.weather("stall-v1", { mode: "drop-answer" });
  await phone.context.setOffline(false);
  await till.sendNow();
  await till.rows("sale-row", "unknown", 1);
  await till.get("sale-row").first().click();
  await till.card("unknown");
  await see("unknown");
});

scenario("what needs attention is fit to be looked at", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-v2");
  await carry(till, "stall-v2", await city.enrol("stall-v2", "gate"));
  const see = (state: string): Promise<void> => look(till.page, `attention ${state}`);
  await till.sell(120, "attention");
  await till.attention(1);
  await see("sale");
  await till.get("attention").click();
  await till.get("dead-letter").waitFor();
  await see("sheet");
  await till.get("discard").click();
  await till.get("discard-mistake").waitFor();
  await see("question");
  await till.get("discard-mistake").click();
  await till.get("dead-empty").waitFor();
  await till.get("attention-close").click();
  await till.card("given-up");
  await see("given up");

  const gate = await Gate.open(phone, city, "gate-v3");
  await carry(gate, "gate-v3", await city.enrol("gate-v3", "vendor"));
  await gate.scan("T-9", "refused");
  await look(gate.page, "scanner refused");
  await gate.get("attention").click();
  await gate.get("discard").click();
  await gate.get("discard-handled").click();
  await gate.get("dead-empty").waitFor();
  await gate.get("attention-close").click();
  await gate.result("T-9", "given-up");
  await look(gate.page, "scanner given up");
});

scenario("a full disk is told on every page, and nothing is called saved", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-v6");
  await till.enrolled();
  await till.get("method-promise").click();
  await till.sell(45, "promised");
  await look(till.page, "pos promised");
  await till.next();
  await till.fillDisk();
  await till.sell(70, "not-saved");
  await look(till.page, "pos not saved");

  const gate = await Gate.open(phone, city, "gate-v6");
  await gate.enrolled();
  await gate.fillDisk();
  await gate.scan("T-8", "error");
  await look(gate.page, "scanner not saved");
});

scenario("the offer of a new version is fit to be looked at", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-v7");
  await gate.enrolled();
  await city.publish("scanner");
  await gate.bringNewVersion();
  await gate.get("new-version").waitFor();
  await look(gate.page, "scanner new version");
});

scenario(
  "the notes of enrolment are fit to be looked at and cover nothing that cannot be reached",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-v3");
    await till.get("enrol-code").waitFor();
    const see = (state: string): Promise<void> => look(till.page, `enrolment ${state}`);
    await see("code");
    await till.get("enrol-code").fill("WRONG-CODE");
    await till.get("enrol-submit").click();
    await till.page.locator("[data-testid=enrolment][data-step=wrong-code]").waitFor();
    await see("wrong code");
    await till.get("enrolment-later").click();
    await till.get("enrolment-open").waitFor();
    await see("later");
    await till.page.setViewportSize({ width: 360, height: 640 });
    await till.get("enrolment-open").click();
    await till.sell(60, "saved");

    await till.shellKept();
    await city.kill();
    // Another device of the same phone, which never met a city.
    await till.page.goto(`${city.origin}/pos/?device=stall-v5`);
    await till.page.locator("[data-testid=enrolment][data-step=offline]").waitFor();
    await see("offline");
  },
  "evening",
);

scenario("what went wrong with the records is told so that it can be read", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-v4");
  await till.enrolled();
  await till.sell(50, "paid");
  await till.evict(phone);
  await till.page.locator("[data-testid=trouble][data-code=evicted]").waitFor();
  await look(till.page, "trouble evicted");
  assert.match((await till.get("trouble").textContent()) ?? "", /和市場核對/);
  await till.speak("en");
  assert.match((await till.get("trouble").textContent()) ?? "", /check with the market/);
  await till.speak("zh-Hant");

  await till.page.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("not allowed", "SecurityError");
    };
  });
  await till.page.reload();
  await till.get("opening-failed").waitFor();
  phone.complaints.length = 0;
  await look(till.page, "trouble opening");
});
