// What the gate says of each thing that is held before it, and what it keeps of it.
import assert from "node:assert/strict";
import type { City, Issued } from "./city.js";
import { cameraOf, film, type Shot } from "./film.js";
import { look } from "./look.js";
import { Gate } from "./screens.js";
import { holds, prepared, reaches, scenario } from "./world.js";

const BLANK: Shot = { text: null, frames: 6 };

/** Opens the gate once its list says what the city says now. */
async function opened(gate: Gate): Promise<void> {
  await gate.enrolled();
  await gate.page.locator("[data-testid=check-list][data-grade=good]").waitFor();
  await gate.openUp();
}

/** What every database of the page's origin holds, as text. */
function stored(gate: Gate): Promise<string> {
  return gate.page.evaluate(async () => {
    const held: unknown[] = [Object.entries(localStorage)];
    for (const { name } of await indexedDB.databases()) {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(name ?? "");
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      for (const name of database.objectStoreNames) {
        const store = database.transaction(name).objectStore(name);
        for (const request of [store.getAllKeys(), store.getAll()]) {
          held.push(
            await new Promise((resolve) => {
              request.onsuccess = () => resolve(request.result);
            }),
          );
        }
      }
      database.close();
    }
    return JSON.stringify(held);
  });
}

async function judged(gate: Gate, code: string, standing: string): Promise<void> {
  await gate.page.keyboard.type(code);
  await gate.page.keyboard.press("Enter");
  await gate.page.locator(`[data-testid=result][data-standing=${standing}][data-shown=full]`).waitFor();
  await gate.shoot(`gate-${standing}`);
}

scenario("offline every ticket is judged by what stands on it and in the list", async ({ city, phone }) => {
  const [good, twice, revoked] = await city.issue(3);
  const [elsewhere] = await city.issue(1, "--gate", "back");
  const [here] = await city.issue(1, "--gate", "gate-j1");
  const [early] = await city.issue(1, "--from", "2050-01-01T00:00:00Z");
  const [late] = await city.issue(1, "--until", "2025-06-01T00:00:00Z");
  assert.ok(good && twice && revoked && elsewhere && here && early && late);
  await city.takeBack(revoked.ticket);
  const gate = await Gate.before(phone, city, "gate-j1");
  await opened(gate);
  await phone.context.setOffline(true);

  for (const { code } of [good, here]) {
    await judged(gate, code, "saved");
    await gate.get("result-offline").waitFor();
  }
  await judged(gate, "T-1", "saved");
  await judged(gate, revoked.code, "revoked");
  await judged(gate, early.code, "too-early");
  await judged(gate, late.code, "expired");
  await judged(gate, elsewhere.code, "wrong-gate");
  await judged(gate, twice.code, "saved");
  await judged(gate, twice.code, "same");
  await gate.pending(8);

  await phone.context.setOffline(false);
  await gate.sendNow();
  await gate.pending(0);
  await holds(city, { events: 8, admissions: 4, scans: 8 });
  for (const { ticket } of [good, here, twice]) assert.equal((await city.ticket(ticket)).state, "admitted");
  assert.equal((await city.ticket(revoked.ticket)).state, "revoked");
  await gate.scans("admitted", 4);
});

scenario("with a link the city is asked before the gate opens, and what it says is final", async ({ city, phone }) => {
  const [ticket, revoked] = await city.issue(2);
  assert.ok(ticket && revoked);
  const north = await Gate.before(phone, city, "gate-j2");
  await opened(north);
  const south = await Gate.before(phone, city, "gate-j3");
  await opened(south);
  // After both lists were made, so that only the question finds it.
  await city.takeBack(revoked.ticket);
  await judged(south, ticket.code, "admitted");
  assert.equal(await south.get("result-offline").count(), 0);
  await north.look();
  await judged(north, ticket.code, "used");
  assert.match((await north.get("result").textContent()) ?? "", /gate-j3/);
  await judged(north, revoked.code, "revoked");
  await north.pending(0);
  await south.look();
  await south.pending(0);
  await reaches(city, { events: 3, admissions: 1, scans: 3 });
});

scenario("a city that does not answer in time delays nobody, and its late answer changes nothing", async (world) => {
  const { city, phone } = world;
  const [slow, next] = await city.issue(2);
  assert.ok(slow && next);
  const gate = await Gate.before(phone, city, "gate-j4");
  await opened(gate);
  await city.weather("gate-j4", { mode: "delay", delayMs: 2_000 });
  await judged(gate, slow.code, "saved");
  await judged(gate, next.code, "saved");
  await city.weather("gate-j4", { mode: "clear" });
  await gate.sendNow();
  await gate.scans("admitted", 2);
  await holds(city, { events: 2, admissions: 2, scans: 2 });
});

scenario("what another gate let in is known here without a question", async ({ city, phone }) => {
  const [ticket] = await city.issue(1);
  assert.ok(ticket);
  const south = await Gate.before(phone, city, "gate-j6");
  await opened(south);
  const north = await Gate.before(phone, city, "gate-j5");
  await opened(north);
  await judged(north, ticket.code, "admitted");
  const digest = await north.page.evaluate(async (id) => {
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(id));
    return Array.from(new Uint8Array(hash, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }, ticket.ticket);
  await south.look();
  const deadline = Date.now() + 30_000;
  while (!(await stored(south)).includes(`d${digest}`)) assert.ok(Date.now() < deadline, "the digest arrives");
  await phone.context.setOffline(true);
  await judged(south, ticket.code, "used");
  assert.match((await south.get("result").textContent()) ?? "", /gate-j5/);
});

scenario("what is none of ours is called so and not kept, neither shown nor sent", async ({ city, phone }) => {
  const [real] = await city.issue(1);
  assert.ok(real);
  const forged = real.code.slice(0, 100) + (real.code[100] === "7" ? "8" : "7") + real.code.slice(101);
  const gate = await Gate.before(phone, city, "gate-j7");
  await opened(gate);
  const foreign = ["4111111111111111", "A123456789", "https://example.com/pay?id=77", "4006381333931", forged];
  for (const text of foreign) await judged(gate, text, "not-ticket");
  await gate.pending(0);
  await holds(city, { events: 0, scans: 0 });
  const kept = `${await stored(gate)}${await gate.page.locator("body").innerHTML()}`;
  for (const text of foreign) assert.ok(!kept.includes(text), text);
});

prepared(
  "codes of other people before the camera are named once, and an old ticket among them is let in",
  async () => {
    const shots: Shot[] = ["https://example.com/menu", "WIFI:S:STALL;P:SECRET;;", "T-77"].flatMap((text) => [
      { text, frames: 14 },
      BLANK,
    ]);
    return { made: null, flags: cameraOf(await film([BLANK, BLANK, ...shots, { text: null, frames: 600 }])) };
  },
  async ({ city, phone }) => {
    const gate = await Gate.open(phone, city, "gate-j8");
    await gate.page.locator("[data-testid=result][data-standing=not-ticket]").waitFor();
    await gate.result("T-77", "admitted");
    await gate.pending(0);
    assert.equal(await gate.get("scan-row").count(), 1);
    assert.ok(!(await stored(gate)).includes("SECRET"));
    await reaches(city, { events: 1, admissions: 1 });
  },
);

prepared(
  "a ticket that is held before the camera for long is one scan; shown again it is the same one, later a used one",
  async (city: City) => {
    const made = await city.issue(1);
    const shot = (frames: number): Shot => ({ text: made[0]?.code ?? null, frames });
    const gone = (frames: number): Shot => ({ text: null, frames });
    const shots = [gone(12), shot(80), gone(20), shot(14), gone(70), shot(14), gone(600)];
    return { made, flags: cameraOf(await film(shots)) };
  },
  async ({ city, phone }, made: Issued[]) => {
    const gate = await Gate.open(phone, city, "gate-j9");
    const ticket = made[0]?.ticket ?? "";
    await gate.result(ticket, "admitted");
    await gate.result(ticket, "used-here");
    await gate.scans("admitted", 1);
    await gate.scans("used-here", 1);
    await gate.pending(0);
    await reaches(city, { events: 2, admissions: 1, scans: 2 });
  },
);

prepared(
  "two tickets held before the camera together are one scan each",
  async (city: City) => {
    const made = await city.issue(2);
    const turns = Array.from({ length: 24 }, (_, place) => ({ text: made[place % 2]?.code ?? null, frames: 3 }));
    return { made, flags: cameraOf(await film([{ text: null, frames: 10 }, ...turns, { text: null, frames: 600 }])) };
  },
  async ({ city, phone }, made) => {
    const gate = await Gate.open(phone, city, "gate-j12");
    await gate.scans("admitted", 2);
    // The last of them is taken away: nothing is left before the camera.
    await gate.page.locator("[data-testid=result][data-shown=strip]").waitFor();
    assert.equal(await gate.get("scan-row").count(), 2);
    await gate.pending(0);
    await reaches(city, { events: 2, admissions: 2, scans: 2 });
    assert.equal(made.length, 2);
  },
);

scenario(
  "a scan that could not be stored is tried again under the same id, so the city's yes still holds",
  async (world) => {
    const { city, phone } = world;
    const [ticket] = await city.issue(1);
    assert.ok(ticket);
    const gate = await Gate.before(phone, city, "gate-j13");
    await opened(gate);
    await gate.page.evaluate(() => {
      const { transaction } = IDBDatabase.prototype;
      IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...asked: Parameters<typeof transaction>) {
        const isFull = !this.name.startsWith("book-") && !this.name.startsWith("list-") && asked[1] === "readwrite";
        if (isFull && sessionStorage.getItem("full") !== null) throw new DOMException("full", "QuotaExceededError");
        return transaction.apply(this, asked);
      };
      sessionStorage.setItem("full", "1");
    });
    await judged(gate, ticket.code, "error");
    await reaches(city, { events: 0, admissions: 1 });
    await gate.page.evaluate(() => sessionStorage.removeItem("full"));
    await judged(gate, ticket.code, "admitted");
    await gate.pending(0);
    await reaches(city, { events: 1, admissions: 1, scans: 1 });
  },
);

scenario("who was let in and did not go in is a new event with a reason, and may come in elsewhere", async (world) => {
  const { city, phone } = world;
  const [ticket] = await city.issue(1);
  assert.ok(ticket);
  const north = await Gate.before(phone, city, "gate-j10");
  await opened(north);
  await judged(north, ticket.code, "admitted");
  await north.get("turn-away").click();
  await north.get("turn-away-item").click();
  await north.result(ticket.ticket, "not-let-in");
  await north.pending(0);
  await reaches(city, { events: 2, admissions: 0, scans: 2 });
  await north.page.reload();
  await north.ready();
  await north.scans("not-let-in", 1);

  const south = await Gate.before(phone, city, "gate-j11");
  await opened(south);
  await judged(south, ticket.code, "admitted");
  await reaches(city, { events: 3, admissions: 1, scans: 3 });

  await south.fillDisk();
  await south.get("turn-away").click();
  await south.get("turn-away-left").click();
  await south.page.locator("[data-testid=result][data-standing=error]").waitFor();
  await south.scans("admitted", 1);
});

scenario(
  "a supervisor lets in whom the gate cannot tell: a scan of its own, counted once, and open to the city's word",
  async ({ city, phone }) => {
    const [ours, used] = await city.issue(2);
    assert.ok(ours && used);
    const south = await Gate.before(phone, city, "gate-j15");
    await opened(south);
    await judged(south, used.code, "admitted");
    await reaches(city, { admissions: 1 });
    const north = await Gate.before(phone, city, "gate-j14");
    await opened(north);
    await judged(north, used.code, "used");
    await north.pending(0);
    await phone.context.setOffline(true);

    // An old ticket, which nobody can look up without a link: one that was never issued, and one that was.
    await north.scan("T-404", "unsure");
    await north.get("overrule").click();
    await north.get("overrule-sure").click();
    await north.result("T-404", "let-in");
    await north.scan("T-404", "same");
    await north.scan(ours.ticket, "unsure");
    await look(north.page, "gate unsure");
    await north.get("overrule").click();
    await north.get("overrule-back").click();
    await north.get("overrule").click();
    await look(north.page, "gate supervisor asked");
    await north.get("overrule-sure").click();
    await north.result(ours.ticket, "let-in");
    await look(north.page, "gate supervisor");
    await north.page.reload();
    await north.ready();
    await north.scans("let-in", 2);
    await north.scans("unsure", 2);
    await north.scan(ours.ticket, "used-here");

    // And one that comes with a ticket somebody else has used: it stays used.
    await judged(north, used.code, "used");
    await north.get("overrule").click();
    await north.get("overrule-sure").click();
    await north.result(used.ticket, "let-in");
    await north.get("turn-away").click();
    await north.get("turn-away-left").click();
    await north.result(used.ticket, "not-let-in");
    await judged(north, used.code, "used");

    await north.get("shift").click();
    await north.get("sum-let-in").filter({ hasText: "2" }).waitFor();
    await north.get("shift-close").click();
    await phone.context.setOffline(false);
    await north.sendNow();
    await north.pending(0);
    assert.equal((await city.ticket(ours.ticket)).state, "admitted");
    assert.equal((await city.ticket(used.ticket)).duplicates.length, 0);
    await north.scans("let-in", 2);
  },
  "development",
  ["--tickets", "known"],
);

scenario(
  "a code that began while a sheet was open is not taken for the ticket that its end would be",
  async (world) => {
    const gate = await Gate.open(world.phone, world.city, "gate-j9");
    await gate.enrolled();
    await gate.get("attention").click();
    await gate.page.locator("dialog[open]").waitFor();
    await gate.page.evaluate(() => {
      const press = (key: string) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      for (const key of "T-") press(key);
      document.querySelector<HTMLDialogElement>("dialog[open]")?.close();
      for (const key of ["1", "Enter"]) press(key);
      Object.assign(globalThis, { pressedAt: performance.now() });
    });
    // What comes later than the next key of a scanner could is a code of its own: `limits.burstMs`, and a moment.
    await gate.page.waitForFunction(
      () => performance.now() - (globalThis as unknown as { pressedAt: number }).pressedAt > 200,
    );
    await gate.scan("T-7", "admitted");
    await reaches(world.city, { events: 1, scans: 1 });
  },
);
