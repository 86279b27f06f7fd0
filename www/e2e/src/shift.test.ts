// A volunteer's own phone at the end of a shift: nothing unsent is lost, and nothing of the market stays on it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { cameraOf, film } from "./film.js";
import { look } from "./look.js";
import type { Phone } from "./phone.js";
import { Gate } from "./screens.js";
import { holds, prepared, scenario } from "./world.js";

interface Kept {
  settings: string[];
  /** Rows of the page's own databases. */
  rows: Record<string, number>;
}

/** What lies on the phone besides the outbox, which stays for the device it belongs to. */
function kept(page: Page): Promise<Kept> {
  return page.evaluate(async () => {
    const rows: Record<string, number> = {};
    for (const { name = "" } of await indexedDB.databases()) {
      if (!name.startsWith("book-") && !name.startsWith("list-")) continue;
      rows[name] = await new Promise((resolve, reject) => {
        const request = indexedDB.open(name);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const all = request.result.transaction("rows").objectStore("rows").count();
          all.onsuccess = () => {
            request.result.close();
            resolve(all.result);
          };
        };
      });
    }
    return { settings: Object.keys(localStorage).sort(), rows };
  });
}

/** Every track a camera gave and every lock on the screen, for a look at what became of them. */
async function watchLamps(phone: Phone): Promise<(page: Page) => Promise<{ tracks: string[]; locks: string[] }>> {
  await phone.context.addInitScript(() => {
    const tracks: MediaStreamTrack[] = [];
    const locks: { released: boolean }[] = [];
    Object.assign(globalThis, { tracks, locks });
    const { getUserMedia } = MediaDevices.prototype;
    MediaDevices.prototype.getUserMedia = async function (this: MediaDevices, ...asked) {
      const stream = await getUserMedia.apply(this, asked);
      tracks.push(...stream.getTracks());
      return stream;
    };
    WakeLock.prototype.request = async (type = "screen") => {
      const lock = Object.assign(new EventTarget(), {
        type,
        released: false,
        release: async () => {
          lock.released = true;
          lock.dispatchEvent(new Event("release"));
        },
      });
      locks.push(lock);
      return lock as unknown as WakeLockSentinel;
    };
  });
  return (page) =>
    page.evaluate(() => {
      const { tracks, locks } = globalThis as unknown as {
        tracks: MediaStreamTrack[];
        locks: { released: boolean }[];
      };
      return {
        tracks: tracks.map(({ readyState }) => readyState),
        locks: locks.map(({ released }) => (released ? "released" : "held")),
      };
    });
}

prepared(
  "nobody ends a shift with unsent scans; what is unsent can be handed over; once sent, all is wiped",
  async (city) => ({
    made: await city.issue(1),
    flags: cameraOf(await film([{ text: null, frames: 10 }])),
  }),
  async ({ city, phone }, [ticket]) => {
    assert.ok(ticket);
    const lamps = await watchLamps(phone);
    const gate = await Gate.open(phone, city, "gate-n1&place=north");
    await gate.page.locator("[data-testid=view][data-camera=on]").waitFor();
    await gate.page.keyboard.type(ticket.code);
    await gate.page.keyboard.press("Enter");
    await gate.result(ticket.ticket, "admitted");
    await gate.scan("T-2", "admitted");
    await gate.get("turn-away").click();
    await gate.get("turn-away-left").click();
    await gate.result("T-2", "not-let-in");
    await gate.pending(0);
    await phone.context.setOffline(true);
    await gate.scan("T-3", "saved");
    await gate.scan(ticket.ticket, "used-here");
    await gate.get("next").click();

    await gate.get("shift").click();
    await gate.page.locator("[data-testid=hindered][data-why=unsent]").waitFor();
    assert.match((await gate.get("hindered").textContent()) ?? "", /2 筆/);
    assert.equal(await gate.get("sign-out").count(), 0);
    assert.match((await gate.get("let-in").textContent()) ?? "", /2 人/);
    for (const word of ["admitted", "saved", "used", "not-let-in"]) {
      assert.equal(await gate.get(`sum-${word}`).textContent(), "1", word);
    }
    await look(gate.page, "shift refused");
    const [file] = await Promise.all([gate.page.waitForEvent("download"), gate.get("export").click()]);
    const told = JSON.parse(await readFile(await file.path(), "utf8"));
    assert.deepEqual([told.device, told.place], ["gate-n1", "north"]);
    assert.deepEqual(
      told.unsent.map((row: { key: string }) => row.key),
      ["T-3", ticket.ticket],
    );

    await phone.context.setOffline(false);
    await gate.get("shift-close").click();
    await gate.sendNow();
    await gate.pending(0);
    await gate.scans("admitted", 2);
    const before = await kept(gate.page);
    assert.ok(before.settings.includes("conch.token.gate-n1"));
    assert.deepEqual(Object.keys(before.rows).sort(), ["book-scanner-gate-n1", "list-scanner-gate-n1"]);
    assert.ok(Object.values(before.rows).every((count) => count > 0));
    assert.deepEqual(await lamps(gate.page), { tracks: ["live"], locks: ["held"] });

    await gate.get("shift").click();
    await look(gate.page, "shift ready");
    await gate.get("sign-out").click();
    await gate.get("sign-out-back").click();
    await gate.get("sign-out").click();
    await look(gate.page, "shift sure");
    await gate.get("sign-out-sure").click();
    await gate.get("signed-out").waitFor();
    await gate.page.waitForFunction(() => localStorage.getItem("conch.token.gate-n1") === null);
    assert.deepEqual(await lamps(gate.page), { tracks: ["ended"], locks: ["released"] });
    await look(gate.page, "shift signed out");
    assert.deepEqual(await kept(gate.page), {
      // The last one is the outbox's own.
      settings: ["conch.language", "conch.scanner.device", "conch.theme", "conch:conch-gate-n1"],
      rows: { "book-scanner-gate-n1": 0, "list-scanner-gate-n1": 0 },
    });
    await holds(city, { events: 5, tickets: 3 });

    // Whoever comes next begins with the checks and an empty list.
    await gate.get("start-again").click();
    await gate.ready();
    await gate.openUp();
    assert.equal(await gate.get("scan-row").count(), 0);
    await gate.pending(0);
  },
);

scenario("signing out in one tab signs the other one out, and its late answers write nothing", async (world) => {
  const { city, phone } = world;
  const [ticket] = await city.issue(1);
  assert.ok(ticket);
  const left = await Gate.open(phone, city, "gate-n2");
  // Opened lately, so this tab needs no checks.
  const right = await Gate.before(phone, city, "gate-n2");
  await right.scan("T-1", "admitted");
  await right.pending(0);
  await left.page.waitForFunction(() => document.querySelector("[data-testid=scan-row]") !== null);
  await city.takeBack(ticket.ticket);
  // The right tab asks for the list, which is a new one by now, and hears the answer when the left one has long left.
  let hear = (): void => undefined;
  const late = new Promise<void>((resolve) => {
    hear = resolve;
  });
  await right.page.route("**/v1/gate", async (route) => {
    const response = await route.fetch();
    await late;
    await route.fulfill({ response });
  });
  const asked = right.page.waitForRequest("**/v1/gate");
  await right.sendNow();
  await asked;

  await left.look();
  await left.get("shift").click();
  await left.get("sign-out").click();
  await left.get("sign-out-sure").click();
  await left.get("signed-out").waitFor();
  await right.get("signed-out").waitFor();
  hear();
  await right.look();
  await right.page.evaluate(async () => void (await fetch("/health")));
  const { settings, rows } = await kept(right.page);
  assert.equal(settings.includes("conch.token.gate-n2"), false);
  assert.deepEqual(rows, { "book-scanner-gate-n2": 0, "list-scanner-gate-n2": 0 });
});

scenario("a scan that no disk took hinders until it is scanned again or nobody went in", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-n3");
  await gate.enrolled();
  await gate.page.evaluate(() => {
    const { transaction } = IDBDatabase.prototype;
    IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...asked: Parameters<typeof transaction>) {
      const full = (globalThis as { full?: boolean }).full === true;
      if (full && !this.name.startsWith("book-") && asked[1] === "readwrite")
        throw new DOMException("full", "QuotaExceededError");
      return transaction.apply(this, asked);
    };
  });
  const full = (now: boolean): Promise<void> =>
    gate.page.evaluate((full) => void Object.assign(globalThis, { full }), now);
  const hinders = (why: string): Promise<void> =>
    gate.page.locator(`[data-testid=hindered][data-why="${why}"]`).waitFor();
  await full(true);
  await gate.scan("T-1", "error");
  await gate.scan("T-2", "error");
  // What the outbox knows for no ticket is nothing to be stored.
  await gate.page.keyboard.type("4111111111111111");
  await gate.page.keyboard.press("Enter");
  await gate.result("", "not-ticket");
  await full(false);
  await gate.scan("T-1", "admitted");
  await gate.pending(0);
  await gate.get("next").click();
  await gate.get("shift").click();
  await hinders("unstored");
  assert.match((await gate.get("hindered").textContent()) ?? "", /有 1 張/);
  await look(gate.page, "shift not stored");
  await gate.get("drop-unstored").click();
  await gate.get("sign-out").waitFor();
});

scenario("what the city refused is decided before anybody leaves", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-n4");
  const token = await city.enrol("gate-n4", "vendor");
  await gate.page.evaluate((value) => localStorage.setItem("conch.token.gate-n4", value), token);
  await gate.page.reload();
  await gate.ready();
  await gate.scan("T-1", "refused");
  await gate.get("next").click();
  await gate.get("shift").click();
  await gate.page.locator("[data-testid=hindered][data-why=dead]").waitFor();
  await gate.get("export").waitFor();
  await gate.get("shift-close").click();
  await gate.get("attention").click();
  await gate.get("discard").click();
  await gate.get("discard-mistake").click();
  await gate.get("dead-empty").waitFor();
  await gate.get("attention-close").click();
  await gate.get("shift").click();
  await gate.get("sign-out").waitFor();
  assert.equal(await gate.get("sum-given-up").textContent(), "1");
  assert.match((await gate.get("let-in").textContent()) ?? "", /0 人/);
});

prepared(
  "behind the sheet the camera takes no ticket, for nobody would see what became of it",
  async (city) => {
    const made = await city.issue(1);
    // A blank second, then a ticket that stays.
    const shots = [10, 600].map((frames, place) => ({ text: place === 0 ? null : (made[0]?.code ?? null), frames }));
    return { made, flags: cameraOf(await film(shots)) };
  },
  async ({ city, phone }, [ticket]) => {
    const gate = await Gate.before(phone, city, "gate-n5");
    await gate.get("shift").click();
    await gate.get("shift-sheet").waitFor();
    // The same hands that would open the gate behind it.
    await gate.get("open-gate").dispatchEvent("click");
    await gate.page.locator("[data-testid=view][data-camera=on]").waitFor();
    await gate.page.waitForFunction(() => performance.getEntriesByName("gate:read").length > 0);
    assert.equal(await gate.get("scan-row").count(), 0);
    await gate.get("shift-close").click();
    await gate.result(ticket?.ticket ?? "", "admitted");
  },
);

scenario("a device that signed out enrols no more until somebody starts again", async ({ city, phone }) => {
  await phone.context.route("**/v1/**", (route) => route.abort());
  const gate = await Gate.before(phone, city, "gate-n6");
  await gate.page.locator("main[data-enrolment=offline]").waitFor();
  await gate.get("shift").click();
  assert.match((await gate.get("shift-sheet").textContent()) ?? "", /還沒有掃過票/);
  await gate.get("sign-out").click();
  await gate.get("sign-out-sure").click();
  await gate.get("signed-out").waitFor();
  await phone.context.unroute("**/v1/**");
  const enrolled: string[] = [];
  gate.page.on("request", (request) => {
    if (request.url().includes("enrol")) enrolled.push(request.url());
  });
  // The network is back: whoever waits asks at once, so before this question.
  await gate.page.evaluate(async () => {
    dispatchEvent(new Event("online"));
    await fetch("/health");
  });
  assert.deepEqual(enrolled, []);
  await gate.get("start-again").click();
  await gate.enrolled();
});
