// Before the gate opens, and what must stay true while it is open: list, clock, camera, sound.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { cameraOf, film } from "./film.js";
import { withLamp } from "./lamp.js";
import type { Phone } from "./phone.js";
import { Gate } from "./screens.js";
import { until } from "./until.js";
import { prepared, reaches, scenario } from "./world.js";

const HOUR_MS = 3_600_000;

/** Moves this device's clock; what it shows then is `ahead` of ours. */
async function movableClock(phone: Phone): Promise<(page: Page, aheadMs: number) => Promise<void>> {
  await phone.context.addInitScript(() => {
    const real = Date.now.bind(Date);
    const name = "test.ahead";
    Date.now = () => real() + Number(sessionStorage.getItem(name) ?? 0);
  });
  return (page, aheadMs) => page.evaluate((ms) => sessionStorage.setItem("test.ahead", String(ms)), aheadMs);
}

async function check(gate: Gate, name: string, grade: string, word: string): Promise<void> {
  await gate.page.locator(`[data-testid=check-${name}][data-grade=${grade}][data-word=${word}]`).waitFor();
}

async function permission(gate: Gate, wanted: string): Promise<void> {
  await gate.page.locator(`[data-testid=preflight][data-permission=${wanted}]`).waitFor();
}

prepared(
  "the checks turn green one by one, and only then the gate opens without a word",
  async (city) => ({ made: await city.issue(1), flags: cameraOf(await film([{ text: null, frames: 10 }])) }),
  async ({ city, phone }, [ticket]) => {
    // What an installed page is promised; this browser is none.
    await phone.context.addInitScript(() => {
      StorageManager.prototype.persist = async () => true;
      StorageManager.prototype.persisted = async () => true;
    });
    const gate = await Gate.before(phone, city, "gate-k1");
    await gate.enrolled();
    await check(gate, "list", "good", "list-good");
    await check(gate, "storage", "good", "storage-good");
    await check(gate, "clock", "good", "clock-good");
    await check(gate, "link", "good", "link-up");
    await check(gate, "camera", "warn", "camera-off");
    await check(gate, "sound", "warn", "sound-untried");
    await permission(gate, "anyway");
    await gate.shoot("gate-checks-anyway");
    assert.equal(await gate.get("unchecked").locator("li").count(), 4);

    await gate.get("run-checks").click();
    await check(gate, "camera", "good", "camera-on");
    await check(gate, "sound", "good", "sound-good");
    await permission(gate, "ready");
    await gate.shoot("gate-checks-ready");
    await gate.openUp();
    await gate.page.keyboard.type(ticket?.code ?? "");
    await gate.page.keyboard.press("Enter");
    await gate.result(ticket?.ticket ?? "", "admitted");

    // A reload in the middle of a queue goes on where it was.
    await gate.page.reload();
    await gate.ready();
    await gate.page.locator("[data-testid=view][data-camera=on]").waitFor();
    assert.equal(await gate.get("preflight").count(), 0);
    await gate.get("unmute").click();
    await gate.get("checks").click();
    await gate.get("preflight").waitFor();
  },
);

scenario("a gate that never had the list does not open, whatever a person says", async ({ city, phone }) => {
  await city.issue(1);
  await phone.context.route("**/v1/**", (route) => route.abort());
  const gate = await Gate.before(phone, city, "gate-k2");
  await check(gate, "list", "bad", "list-none");
  await check(gate, "link", "warn", "link-down");
  await check(gate, "clock", "warn", "clock-unknown");
  await permission(gate, "not-yet");
  assert.equal(await gate.get("open-gate").isDisabled(), true);
  await phone.context.unroute("**/v1/**");
  await gate.sendNow();
  await check(gate, "list", "good", "list-good");
  await permission(gate, "anyway");
  await gate.openUp();
});

scenario("the list's age is always there, grows, and stops nobody", async ({ city, phone }) => {
  const [ticket] = await city.issue(1);
  assert.ok(ticket);
  const move = await movableClock(phone);
  const gate = await Gate.open(phone, city, "gate-k3");
  await gate.page.locator("[data-testid=list-age][data-age=fresh]").waitFor();
  await phone.context.setOffline(true);
  await move(gate.page, HOUR_MS / 2);
  await gate.page.locator("[data-testid=list-age][data-age=old]").waitFor();
  await move(gate.page, 5 * HOUR_MS);
  await gate.page.locator("[data-testid=list-age][data-age=stale]").waitFor();
  await gate.scan("T-1", "saved");
});

scenario("a wrong clock is told, and opens no gate to a ticket whose time is over", async ({ city, phone }) => {
  const until = new Date(Date.now() - HOUR_MS / 2).toISOString().replace(/\.\d+/, "");
  const [over] = await city.issue(1, "--until", until);
  assert.ok(over);
  const move = await movableClock(phone);
  const gate = await Gate.before(phone, city, "gate-k4");
  await check(gate, "clock", "good", "clock-good");
  await move(gate.page, -HOUR_MS);
  await gate.page.reload();
  await check(gate, "clock", "warn", "clock-off");
  await gate.openUp();
  await gate.page.locator("[data-testid=clock][data-clock=off]").waitFor();
  await phone.context.setOffline(true);
  await gate.page.keyboard.type(over.code);
  await gate.page.keyboard.press("Enter");
  await gate.result(over.ticket, "expired");
});

prepared(
  "the camera stops when the page is hidden, starts again with it, and by hand when it went dark",
  async () => ({ made: null, flags: cameraOf(await film([{ text: null, frames: 10 }])) }),
  async ({ city, phone }) => {
    const gate = await Gate.open(phone, city, "gate-k5");
    const state = (wanted: string): Promise<void> =>
      gate.page.locator(`[data-testid=view][data-camera=${wanted}]`).waitFor();
    const turn = (visible: boolean): Promise<void> =>
      gate.page.evaluate(
        (state) => {
          Object.defineProperty(document, "visibilityState", { configurable: true, get: () => state });
          document.dispatchEvent(new Event("visibilitychange"));
        },
        visible ? "visible" : "hidden",
      );
    const live = (): Promise<string[]> =>
      gate.page.evaluate(() => {
        const video = document.querySelector("video");
        const stream = video?.srcObject instanceof MediaStream ? video.srcObject : null;
        Object.assign(globalThis, {
          seen: [...((globalThis as { seen?: object[] }).seen ?? []), ...(stream?.getTracks() ?? [])],
        });
        return (globalThis as unknown as { seen: MediaStreamTrack[] }).seen.map(({ readyState }) => readyState);
      });
    await state("on");
    assert.deepEqual(await live(), ["live"]);
    await turn(false);
    await state("off");
    assert.deepEqual(await live(), ["ended"], "the lamp of the camera is out");
    await turn(true);
    await state("on");

    await gate.page.evaluate(() => {
      const stream = document.querySelector("video")?.srcObject;
      if (stream instanceof MediaStream)
        for (const track of stream.getTracks()) track.dispatchEvent(new Event("ended"));
    });
    await gate.page.locator("[data-testid=camera-restart]").click();
    await state("on");
  },
);

/** Every note the page plays, by its frequency. */
async function heardNotes(phone: Phone): Promise<(page: Page) => Promise<number[]>> {
  await phone.context.addInitScript(() => {
    const notes: number[] = [];
    const Real = OscillatorNode;
    Object.assign(globalThis, {
      notes,
      OscillatorNode: class extends Real {
        constructor(context: BaseAudioContext, options: OscillatorOptions) {
          super(context, options);
          notes.push(options.frequency ?? 0);
        }
      },
    });
  });
  return (page) => page.evaluate(() => (globalThis as unknown as { notes: number[] }).notes.splice(0));
}

scenario("every answer has its own tone, and none sounds before the disk has the scan", async ({ city, phone }) => {
  const notes = await heardNotes(phone);
  const gate = await Gate.open(phone, city, "gate-k6");
  const scan = async (code: string, standing: string): Promise<number[]> => {
    await gate.page.keyboard.type(code);
    await gate.page.keyboard.press("Enter");
    await gate.page.locator(`[data-testid=result][data-standing=${standing}][data-shown=full]`).waitFor();
    return notes(gate.page);
  };
  await notes(gate.page);
  const accepted = await scan("T-1", "admitted");
  const same = await scan("T-1", "same");
  const other = await Gate.open(phone, city, "gate-k7");
  await other.scan("T-2", "admitted");
  await gate.look();
  const used = await scan("T-2", "used");
  const stop = await scan("https://example.com", "not-ticket");
  assert.deepEqual([accepted, same, used, stop], [[880, 1_320], [990], [660, 660, 660], [196]]);

  await gate.page.evaluate(() => {
    const { transaction } = IDBDatabase.prototype;
    IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...asked: Parameters<typeof transaction>) {
      if (!this.name.startsWith("book-") && asked[1] === "readwrite")
        throw new DOMException("full", "QuotaExceededError");
      return transaction.apply(this, asked);
    };
  });
  assert.deepEqual(await scan("T-3", "error"), [196]);
  await gate.scans("admitted", 1);
  await reaches(city, { events: 3 });
});

scenario("a browser without Ed25519 verifies tickets offline all the same", async ({ city, phone }) => {
  const [ticket] = await city.issue(1);
  assert.ok(ticket);
  await phone.context.addInitScript(() => {
    const { importKey } = SubtleCrypto.prototype;
    SubtleCrypto.prototype.importKey = function (this: SubtleCrypto, ...asked: unknown[]) {
      if (JSON.stringify(asked).includes("Ed25519")) return Promise.reject(new DOMException("", "NotSupportedError"));
      return Reflect.apply(importKey, this, asked);
    } as typeof importKey;
  });
  const gate = await Gate.before(phone, city, "gate-k8");
  await gate.shellKept();
  await check(gate, "list", "good", "list-good");
  await phone.context.setOffline(true);
  await gate.page.reload();
  await gate.openUp();
  await gate.page.keyboard.type(ticket.code);
  await gate.page.keyboard.press("Enter");
  await gate.result(ticket.ticket, "saved");
  const forged = ticket.code.slice(0, -12) + (ticket.code.at(-12) === "7" ? "8" : "7") + ticket.code.slice(-11);
  await gate.page.keyboard.type(forged);
  await gate.page.keyboard.press("Enter");
  await gate.result("", "not-ticket");
});

prepared(
  "a detector of the browser's that fails gives way to our own",
  async (city) => {
    const made = await city.issue(1);
    const shots = [10, 30, 600].map((frames, place) => ({
      text: place === 1 ? (made[0]?.code ?? null) : null,
      frames,
    }));
    return { made, flags: cameraOf(await film(shots)) };
  },
  async ({ city, phone }, [ticket]) => {
    await phone.context.addInitScript(() => {
      Object.assign(globalThis, {
        BarcodeDetector: class {
          static async getSupportedFormats(): Promise<string[]> {
            return ["qr_code"];
          }
          async detect(): Promise<never> {
            throw new DOMException("", "NotSupportedError");
          }
        },
      });
    });
    const gate = await Gate.open(phone, city, "gate-k9");
    await gate.result(ticket?.ticket ?? "", "admitted");
  },
);

scenario("nothing on the screen moves while tickets are scanned", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-k10");
  await gate.page.evaluate(() => {
    const moved: number[] = [];
    Object.assign(globalThis, { moved });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) moved.push((entry as PerformanceEntry & { value: number }).value);
    }).observe({ type: "layout-shift", buffered: false });
  });
  await gate.scan("T-1", "admitted");
  await gate.get("next").click();
  // The first row of the list takes its place; from then on every scan only adds one above the others.
  await gate.page.evaluate(() => (globalThis as unknown as { moved: number[] }).moved.splice(0));
  await phone.context.setOffline(true);
  await gate.page.keyboard.type("https://example.com");
  await gate.page.keyboard.press("Enter");
  await gate.result("", "not-ticket");
  await gate.get("next").click();
  await gate.page.locator("[data-testid=result][data-shown=strip]").waitFor();
  await gate.page.keyboard.type("https://example.com/2");
  await gate.page.keyboard.press("Enter");
  await gate.page.locator("[data-testid=result][data-shown=full]").waitFor();
  const moved = await gate.page.evaluate(() => (globalThis as unknown as { moved: number[] }).moved);
  assert.deepEqual(moved, []);
});

prepared(
  "the other camera is remembered, the lamp is offered where there is one, and the screen stays on",
  async () => ({
    made: null,
    flags: ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=device-count=2"],
  }),
  async ({ city, phone }) => {
    const lampOf = await withLamp(phone);
    await phone.context.addInitScript(() => {
      const asked: string[] = [];
      Object.assign(globalThis, { asked });
      WakeLock.prototype.request = async (kind = "screen") => {
        asked.push(kind);
        return Object.assign(new EventTarget(), { released: false, type: kind }) as unknown as WakeLockSentinel;
      };
    });
    const gate = await Gate.open(phone, city, "gate-k11");
    const state = (): Promise<void> => gate.page.locator("[data-testid=view][data-camera=on]").waitFor();
    const camera = (): Promise<string | undefined> =>
      gate.page.evaluate(() => {
        const stream = document.querySelector("video")?.srcObject;
        return stream instanceof MediaStream ? stream.getVideoTracks()[0]?.getSettings().deviceId : undefined;
      });
    await state();
    const first = await camera();
    await gate.get("camera-next").click();
    const second = await until("the other camera", async () => {
      const now = await camera();
      return now !== first && now;
    });
    await gate.page.reload();
    await gate.ready();
    await state();
    assert.equal(await camera(), second);

    await gate.get("torch").click();
    await gate.page.locator("[data-testid=torch][aria-pressed=true]").click();
    await gate.page.locator("[data-testid=torch][aria-pressed=false]").waitFor();
    assert.deepEqual(await lampOf(gate.page), [true, false]);
    assert.deepEqual(await gate.page.evaluate(() => (globalThis as unknown as { asked: string[] }).asked), ["screen"]);
  },
);
