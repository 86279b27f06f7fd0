// Eight tabs of one device, a hundred thousand events, weather all the while: nothing is lost or doubled, and no tab
// keeps anything of an event that is gone. Time is compressed: whenever the sky clears, a person says "send now".
import assert from "node:assert/strict";
import type { Edge } from "conch-edge";
import type { CDPSession, Page } from "playwright-core";
import { City, type Weather } from "../city.js";
import { Phone } from "../phone.js";
import { versionOf } from "./browser.js";
import { Dice } from "./dice.js";
import { Host } from "./host.js";
import { keep, say } from "./results.js";
import { stranger } from "./stranger.js";

declare global {
  var conch: typeof import("conch-edge");
  var outbox: Edge;
  var wasm: WebAssembly.Exports;
}

const DEVICE = "soak";
const TABS = 8;
const { CONCH_SEED, CONCH_EVENTS } = process.env;
const events = Number(CONCH_EVENTS ?? 100_000);
const seed = Number(CONCH_SEED ?? Date.now() % 2 ** 31);
/** Events of a tab between two looks. Ten stretches; those before the second look warm everything up. */
const STRETCHES = 10;
const WARM = 2;
/** From the second look to the last a tab may grow by so much. The smallest thing kept of an event has 16 bytes. */
const WASM_BYTES_AN_EVENT_MAX = 12;
const HEAP_BYTES_AN_EVENT_MAX = 12;
const HANDLES_FACTOR_MAX = 2;
const DELIVER_MS = 300_000;

interface Size {
  wasm: number;
  handles: number;
  heap: number;
}

const skies: Weather[] = [
  { mode: "drop-request", count: 20 },
  { mode: "drop-answer", count: 5 },
  { mode: "status-503", count: 5 },
  { mode: "captive-html", count: 5 },
  { mode: "delay", delayMs: 200, count: 20 },
];

/** Another sky every half second, each as often cleared as not, until told to stop. */
async function blow(city: City, dice: Dice, isOver: () => boolean, pages: Page[]): Promise<number> {
  let changes = 0;
  while (!isOver()) {
    const sky = skies[Math.floor(dice.roll() * skies.length)];
    if (sky !== undefined) await city.weather(DEVICE, sky);
    changes += 1;
    await new Promise((resolve) => setTimeout(resolve, 500));
    await city.weather(DEVICE, { mode: "clear" });
    await pages[0]?.evaluate(() => outbox.flush());
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return changes;
}

async function opened(phone: Phone, origin: string, token: string): Promise<Page> {
  const page = await phone.open(`${origin}/`);
  await page.evaluate(
    async ([device, token]) => {
      const { instantiateStreaming } = WebAssembly;
      WebAssembly.instantiateStreaming = async (source, imports) => {
        const loaded = await instantiateStreaming.call(WebAssembly, source, imports);
        globalThis.wasm = loaded.instance.exports;
        return loaded;
      };
      globalThis.outbox = await conch.Edge.open({ city: "/", device, credentials: () => token });
    },
    [DEVICE, token] as const,
  );
  return page;
}

async function sell(page: Page, tab: number, from: number, count: number): Promise<void> {
  await page.evaluate(
    async ([tab, from, count]) => {
      for (let told = from; told < from + count; told += 50) {
        const turn = Array.from({ length: Math.min(50, from + count - told) }, (_, place) => {
          const key = `t${tab}-${told + place}`;
          return outbox.emit({ topic: "stall.note.v1", type: "made", key, payload: { place } });
        });
        await Promise.all(turn);
      }
    },
    [tab, from, count] as const,
  );
}

/** Ends once nothing is owed. */
async function delivered(page: Page): Promise<void> {
  page.setDefaultTimeout(DELIVER_MS);
  await page.waitForFunction(
    () => {
      outbox.flush();
      return outbox.snapshot().backlog === 0;
    },
    null,
    { polling: 500, timeout: DELIVER_MS },
  );
}

async function sized(page: Page, devtools: CDPSession): Promise<Size> {
  await devtools.send("HeapProfiler.collectGarbage");
  const { metrics } = await devtools.send("Performance.getMetrics");
  const heap = metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? Number.NaN;
  const own = await page.evaluate(() => {
    // By kind: the names are short and mean nothing.
    const parts = Object.values(wasm ?? {});
    const memory = parts.find((part) => part instanceof WebAssembly.Memory);
    const handles = parts.find((part) => part instanceof WebAssembly.Table);
    if (memory === undefined || handles === undefined) throw new Error("another module than this run knows");
    return { wasm: memory.buffer.byteLength, handles: handles.length };
  });
  return { ...own, heap };
}

say(`seed ${seed}: CONCH_SEED=${seed} draws the same skies again`);
const began = Date.now();
const installed = await stranger();
const city = await City.start("development");
const host = await Host.open(city.origin, installed.edge);
const phone = await Phone.start();
try {
  host.files.set(
    "/",
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>soak</title><script type="module" src="/page.js"></script></html>',
  );
  host.files.set("/page.js", 'import * as conch from "/conch-edge/index.js";\nglobalThis.conch = conch;\n');
  const token = await city.enrol(DEVICE, "vendor");
  const pages: Page[] = [];
  for (let tab = 0; tab < TABS; tab += 1) pages.push(await opened(phone, host.origin, token));
  const devtools = await Promise.all(pages.map((page) => phone.context.newCDPSession(page)));
  await Promise.all(devtools.map((session) => session.send("Performance.enable")));
  const looks: Size[][] = [];
  const dice = new Dice(seed);
  const count = Math.floor(events / TABS / STRETCHES);
  const total = count * TABS * STRETCHES;
  let weather = 0;
  for (let stretch = 0; stretch < STRETCHES; stretch += 1) {
    let over = false;
    const blowing = blow(city, dice, () => over, pages);
    await Promise.all(pages.map((page, tab) => sell(page, tab, stretch * count, count)));
    over = true;
    weather += await blowing;
    await Promise.all(pages.map(delivered));
    const sizes = await Promise.all(pages.map((page, tab) => sized(page, devtools[tab] as CDPSession)));
    looks.push(sizes);
    const most = (of: keyof Size): number => Math.max(...sizes.map((size) => size[of]));
    const seconds = Math.round((Date.now() - began) / 1_000);
    const told = `${(stretch + 1) * count * TABS} events, ${weather} skies; the greatest tab has`;
    say(
      `${String(seconds).padStart(4)} s  ${told} ${most("wasm")} bytes of wasm, ${most("heap")} of heap, ${most("handles")} handles`,
    );
  }
  const dead = await pages[0]?.evaluate(() => outbox.snapshot().dead);
  const counts = await city.counts();
  const early = looks[WARM - 1] as Size[];
  const last = looks.at(-1) as Size[];
  const after = (total * (STRETCHES - WARM)) / STRETCHES;
  const grown = (of: keyof Size): number =>
    Math.max(...last.map((size, tab) => size[of] - (early[tab]?.[of] ?? 0))) / after;
  const handles = Math.max(...last.map((size, tab) => size.handles / (early[tab]?.handles ?? 1)));
  await keep("soak", {
    seed,
    browser: await versionOf("chromium"),
    tabs: TABS,
    events: total,
    taken: counts.events,
    dead,
    skies: weather,
    seconds: Math.round((Date.now() - began) / 1_000),
    grown: { wasmBytesAnEvent: grown("wasm"), heapBytesAnEvent: grown("heap"), handlesFactor: handles },
    bounds: {
      wasmBytesAnEvent: WASM_BYTES_AN_EVENT_MAX,
      heapBytesAnEvent: HEAP_BYTES_AN_EVENT_MAX,
      handlesFactor: HANDLES_FACTOR_MAX,
    },
    looks,
  });
  assert.deepEqual([counts.events, dead], [total, 0], "each event is in the city once");
  assert.ok(grown("wasm") < WASM_BYTES_AN_EVENT_MAX, `${grown("wasm")} bytes of wasm an event`);
  assert.ok(grown("heap") < HEAP_BYTES_AN_EVENT_MAX, `${grown("heap")} bytes of heap an event`);
  assert.ok(handles <= HANDLES_FACTOR_MAX, `${handles} times the handles`);
} finally {
  await phone.end();
  await host.close();
  await city.end();
  await installed.leave();
}
