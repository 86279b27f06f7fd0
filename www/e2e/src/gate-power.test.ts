// What a gate does when power goes, when the battery is nearly empty, and when a visitor's screen is too dark to be read.
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { cameraOf, film } from "./film.js";
import { withLamp } from "./lamp.js";
import { look } from "./look.js";
import type { Phone } from "./phone.js";
import { Gate } from "./screens.js";
import { prepared, scenario } from "./world.js";

/** What hangs on the gate's socket is measured by a meter: a phone knows nothing of its watts. */
const plan = join(mkdtempSync(join(tmpdir(), "conch-circuits-")), "circuits.json");
const circuit = { circuit: "c7", limitWatts: 3_000, stalls: { "gate-p1": 9, "lamp-1": 1 }, meters: ["meter-1"] };
writeFileSync(plan, JSON.stringify([circuit]));

/** Between `gateLimits.frameEveryMs` and `frameSparingMs`, with a camera's picture more or less. */
const SPARING_GAP_MS = 200;

/** Where a row of words is most likely to be cut. */
const small = [{ width: 360, height: 640 }];

/** No browser on a machine has a battery to run down, so it is replaced; what the page does with it is the page's own. */
async function withBattery(phone: Phone): Promise<(page: Page, level: number, charging?: boolean) => Promise<void>> {
  await phone.context.addInitScript(() => {
    const battery = Object.assign(new EventTarget(), { level: 1, charging: true });
    Object.assign(globalThis, { battery });
    Object.assign(Navigator.prototype, { getBattery: async () => battery });
  });
  return (page, level, charging = false) =>
    page.evaluate(
      (now) => {
        const { battery } = globalThis as unknown as { battery: EventTarget };
        Object.assign(battery, now);
        for (const kind of ["levelchange", "chargingchange"]) battery.dispatchEvent(new Event(kind));
      },
      { level, charging },
    );
}

/** The least time between two looks at the camera's picture, of the next few. */
function leastGap(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        const starts: number[] = [];
        new PerformanceObserver((list, self) => {
          starts.push(...list.getEntriesByName("gate:frame").map(({ startTime }) => startTime));
          if (starts.length < 6) return;
          self.disconnect();
          resolve(Math.min(...starts.slice(1).map((at, place) => at - (starts[place] ?? at))));
        }).observe({ type: "measure" });
      }),
  );
}

/**
 * The city's feed as it is, until a test has it say that power is back: the city itself waits five minutes for that. What
 * it says is the city's own notice of the cut with another type.
 */
async function feedOf(phone: Phone): Promise<{ listens: Promise<unknown>; restore: () => void }> {
  let restore = (): void => undefined;
  const restored = new Promise<"restored">((resolve) => {
    restore = () => resolve("restored");
  });
  const listens = phone.context.waitForEvent("request", (request) => request.url().endsWith("wait=25"));
  let shed: { cursor: string; events: { type: string; data: object }[] } | null = null;
  await phone.context.route("**/v1/feed?**", async (route) => {
    const real = route.fetch({ timeout: 0 });
    real.catch(() => undefined);
    const first = await Promise.race([real, restored]);
    if (first === "restored" && shed !== null) {
      const events = shed.events.map((event) => ({ ...event, id: crypto.randomUUID(), type: "ops.power.v1.restored" }));
      await route.fulfill({ status: 200, headers: { "conch-city": "a-test" }, json: { ...shed, events } });
      shed = null;
      return;
    }
    const response = await real;
    const body = await response.text();
    if (body.includes("ops.power.v1.shed")) shed = JSON.parse(body);
    await route.fulfill({ response, body });
  });
  return { listens, restore };
}

prepared(
  "a gate that is told that power goes sends what is unsent, spares, and is as before when power is back",
  async () => ({ made: null, flags: cameraOf(await film([{ text: null, frames: 30 }], undefined, 30)) }),
  async ({ city, phone }) => {
    const lamp = await withLamp(phone);
    const set = await withBattery(phone);
    const feed = await feedOf(phone);
    const gate = await Gate.open(phone, city, "gate-p1");
    await gate.enrolled();
    await feed.listens;
    await gate.page.locator("[data-testid=view][data-camera=on]").waitFor();
    await set(gate.page, 0.18);
    await gate.get("torch").click();
    assert.ok((await leastGap(gate.page)) < SPARING_GAP_MS);
    // The city asks for an hour's patience, which only a person may cut short, and a power cut.
    await phone.context.route("**/v1/events", (route) =>
      route.fulfill({ status: 503, headers: { "conch-city": "a-test", "retry-after": "3600" } }),
    );
    await gate.scan("T-1", "admitted");
    await gate.get("next").click();
    await gate.page.locator("[data-testid=outlook][data-why=waiting-told]").waitFor();
    await phone.context.unroute("**/v1/events");

    const before = await gate.get("ticket").boundingBox();
    const meter = await city.enrol("meter-1", "ops");
    for (const [stall, watts] of [
      ["gate-p1", 1_500],
      ["lamp-1", 1_400],
    ] as const) {
      await city.say("meter-1", meter, { type: "ops.power.v1.load_reported", key: "c7", data: { stall, watts } });
    }
    await gate.page.locator("[data-testid=gate-power][data-step=shed][data-sparing=true]").waitFor();
    assert.match((await gate.get("power").textContent()) ?? "", /^\d+ 秒後可能停電/);
    assert.deepEqual(await gate.get("ticket").boundingBox(), before, "nothing moves under a finger");
    await gate.get("torch-anyway").waitFor();
    assert.equal(await gate.get("torch").count(), 0, "light is there for who insists");
    await gate.pending(0);
    assert.ok((await leastGap(gate.page)) >= SPARING_GAP_MS);
    await look(gate.page, "scanner power goes", small);

    feed.restore();
    await gate.page.locator("[data-testid=gate-power][data-step=restored][data-sparing=false]").waitFor();
    await gate.page.locator("[data-testid=torch][aria-pressed=true]").waitFor();
    await look(gate.page, "scanner power is back", small);
    assert.deepEqual(await lamp(gate.page), [true, false, true], "the lamp burns again as before");
    assert.ok((await leastGap(gate.page)) < SPARING_GAP_MS);
    assert.deepEqual(await gate.get("ticket").boundingBox(), before);

    await set(gate.page, 0.08);
    await gate.get("torch-anyway").click();
    await gate.page.locator("[data-testid=view][data-sparing=true] [data-testid=torch][aria-pressed=true]").waitFor();
    await set(gate.page, 0.08, true);
    await gate.page.locator("[data-testid=view][data-sparing=false]").waitFor();
    assert.deepEqual(
      await lamp(gate.page),
      [true, false, true, false, true],
      "who insists has light, before and after",
    );
    await phone.context.unrouteAll({ behavior: "ignoreErrors" });
  },
  "development",
  ["--circuits", plan],
);

scenario("the battery is told, before opening and after, and a nearly empty one is spared", async ({ city, phone }) => {
  const set = await withBattery(phone);
  const gate = await Gate.before(phone, city, "gate-p2");
  await gate.enrolled();
  const row = gate.get("check-battery");
  assert.equal(await row.count(), 0, "full and plugged in is what a browser says without a battery");
  await set(gate.page, 0.15);
  await gate.page.locator("[data-testid=check-battery][data-grade=warn][data-word=battery-low]").waitFor();
  await look(gate.page, "scanner checks battery low", [{ width: 360, height: 640, whole: true }]);
  await gate.openUp();
  const state = (charge: string, sparing: boolean): Promise<void> =>
    gate.page.locator(`[data-testid=gate-power][data-sparing=${sparing}] [data-charge=${charge}]`).waitFor();
  await state("low", false);
  const before = await gate.get("ticket").boundingBox();
  await set(gate.page, 0.83);
  await state("good", false);
  assert.match((await gate.get("battery").textContent()) ?? "", /83 %$/);
  await set(gate.page, 0.08);
  await state("empty", true);
  await look(gate.page, "scanner battery nearly empty", small);
  await set(gate.page, 0.08, true);
  await state("good", false);
  assert.equal(await gate.get("battery").getAttribute("data-charging"), "true");
  assert.deepEqual(await gate.get("ticket").boundingBox(), before, "nothing moves under a finger");

  await gate.page.addInitScript(() => Object.assign(Navigator.prototype, { getBattery: undefined }));
  await gate.page.reload();
  await gate.ready();
  // The button for the sound is a wide one, and what stands beside it must be read all the same.
  await gate.get("unmute").waitFor();
  await look(gate.page, "scanner silent after a reload", small);
  assert.equal(await gate.get("battery").count(), 0, "a browser that does not tell is not guessed at");
  assert.deepEqual(await gate.get("ticket").boundingBox(), before);
});

scenario(
  "a picture asks the visitor for a brighter screen, and the next scan puts it away",
  async ({ city, phone }) => {
    const gate = await Gate.open(phone, city, "gate-p3");
    await gate.enrolled();
    const picture = gate.get("brighten-picture");
    const gone = (): Promise<void> => picture.waitFor({ state: "hidden" });
    await gate.get("brighten").click();
    for (const sentence of ["請把手機螢幕調亮", "Please turn up your screen brightness"]) {
      await picture.getByText(sentence).waitFor();
    }
    await look(gate.page, "scanner brighten");
    // Typed by a keyboard scanner while a button has the focus.
    await gate.scan("T-1", "admitted");
    await gone();
    await gate.page.locator("[data-testid=result][data-shown=full]").waitFor();
    await gate.get("next").click();

    await gate.get("brighten").focus();
    await gate.page.keyboard.press("Enter");
    await picture.waitFor();
    await gate.page.keyboard.press("Escape");
    await gone();
    assert.equal(await gate.page.evaluate(() => document.activeElement?.getAttribute("data-testid")), "brighten");
    await gate.page.keyboard.press("Enter");
    await picture.waitFor();
    await gate.page.mouse.click(20, 20);
    await gone();
  },
);
