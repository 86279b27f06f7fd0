// The packed tarball at work in a real browser, in the places where packages with wasm break.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Edge } from "conch-edge";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { hasSqlite, placePage, Served } from "./guide.js";
import { install, uninstall } from "./installed.js";
import { LOCKED, Market } from "./market.js";
import { type Order, Shop } from "./shop.js";

declare global {
  var conch: typeof import("conch-edge");
  var edge: Promise<Edge>;
  var asked: string[];
  function ask(question: [name: string, given?: unknown]): Promise<unknown>;
}

const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];
/** One scene, with the browser's start on a busy machine. */
const PATIENCE_MS = 60_000;
/** Requests that fail are part of a scene; the browser reports each on the console. */
const EXPECTED_ERROR = /^Failed to load resource/;
const SALE = { topic: "stall.sale.v1", type: "made", key: "order-1", payload: { amount: 12_000 } };
/** What every entry gives. */
const NAMES = ["Edge", "deliver", "init", "isConchError"] satisfies (keyof typeof globalThis.conch)[];

interface Scene {
  market: Market;
  context: BrowserContext;
  open(path: string): Promise<Page>;
}

let folder: string;
let browser: Browser;

before(async () => {
  folder = await install();
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: flags });
});

after(async () => {
  await browser?.close();
  await uninstall(folder);
});

/** A scene has a market and a profile of its own, and its pages complain about nothing. */
function scene(behaviour: string, play: (scene: Scene) => Promise<void>, skip: string | false = false): void {
  test(behaviour, { timeout: PATIENCE_MS, skip }, async () => {
    const market = await Market.open(folder);
    const context = await browser.newContext();
    const complaints: string[] = [];
    context.on("console", (message) => {
      if (message.type() === "error" && !EXPECTED_ERROR.test(message.text())) complaints.push(message.text());
    });
    context.on("weberror", (fault) => complaints.push(String(fault.error())));
    const open = async (path: string): Promise<Page> => {
      const page = await context.newPage();
      await page.goto(market.origin + path);
      return page;
    };
    try {
      await play({ market, context, open });
    } finally {
      await context.close();
      await market.close();
    }
    assert.deepEqual(complaints, []);
  });
}

/** Opens the outbox of the page unless it is open. */
async function openOutbox(page: Page): Promise<void> {
  await page.evaluate(async () => {
    globalThis.edge ??= conch.Edge.open({ city: "/", device: "till-1" });
    await edge;
  });
}

async function owed(page: Page): Promise<number> {
  await openOutbox(page);
  return page.evaluate(async () => (await edge).snapshot().backlog);
}

/** Sold while the city is away, owed after a reload, delivered once when it is back. */
async function sellsThroughAnOutage({ market, open }: Scene, path: string): Promise<void> {
  market.away = true;
  const page = await open(path);
  await openOutbox(page);
  const id = await page.evaluate(async (sale) => (await (await edge).emit(sale)).id, SALE);
  assert.equal(await owed(page), 1);
  await page.reload();
  assert.equal(await owed(page), 1);

  market.away = false;
  const verdict = await page.evaluate(async (id) => {
    (await edge).flush();
    return (await (await edge).settled(id)).verdict;
  }, id);
  assert.equal(verdict, "accepted");
  assert.equal(await owed(page), 0);
  assert.deepEqual(market.taken, [id]);
}

/** The same with the outbox in a service worker, which the browser ends in between. */
async function sellsInAWorker(
  { market, context, open }: Scene,
  path: string,
  script: string,
  type: WorkerType,
): Promise<void> {
  market.away = true;
  const page = await open(path);
  await page.evaluate(([script, type]) => navigator.serviceWorker.register(script, { type }), [script, type] as const);
  const id = await page.evaluate((sale) => ask(["sell", sale]), SALE);
  assert.equal(await page.evaluate(() => ask(["owed"])), 1);
  const born = await page.evaluate(() => ask(["born"]));
  const devtools = await context.newCDPSession(page);
  await devtools.send("ServiceWorker.enable");
  await devtools.send("ServiceWorker.stopAllWorkers");
  assert.notEqual(await page.evaluate(() => ask(["born"])), born);
  assert.equal(await page.evaluate(() => ask(["owed"])), 1);

  market.away = false;
  assert.equal(await page.evaluate((id) => ask(["verdict", id]), id), "accepted");
  assert.equal(await page.evaluate(() => ask(["owed"])), 0);
  assert.deepEqual(market.taken, [id]);
}

scene("a plain page sells through an outage", (scene) => sellsThroughAnOutage(scene, "/sites/plain/"));

scene("a page that Vite built sells through an outage", (scene) => sellsThroughAnOutage(scene, "/built/vite/"));

scene("a locked page sells through an outage", (scene) => sellsThroughAnOutage(scene, `${LOCKED}/sites/plain/`));

scene("a locked page that Vite built sells through an outage", (scene) =>
  sellsThroughAnOutage(scene, `${LOCKED}/built/vite/`),
);

scene("a locked page with the wasm inside sells through an outage", async (scene) => {
  await sellsThroughAnOutage(scene, `${LOCKED}/sites/inline/`);
  assert.ok(!scene.market.served.some((path) => path.endsWith(".wasm")), "it asks for no other file");
});

scene("a service worker that is a module sells through an outage", (scene) =>
  sellsInAWorker(scene, `${LOCKED}/built/worker/`, "./module.js", "module"),
);

scene("a service worker that is a classic script sells through an outage", (scene) =>
  sellsInAWorker(scene, `${LOCKED}/sites/worker/`, "./classic.js", "classic"),
);

test("every entry is found by its name and runs to its end at once", () => {
  const require = createRequire(join(folder, "package.json"));
  for (const entry of ["conch-edge", "conch-edge/inline", "conch-edge/sw"]) {
    // Node refuses to `require` a module that awaits at its top level.
    const given: object = require(entry);
    assert.deepEqual(Object.keys(given).sort(), NAMES, entry);
  }
});

scene("importing loads nothing, and every entry gives what the types name", async ({ market, open }) => {
  for (const path of ["/sites/plain/", "/sites/inline/"]) {
    const page = await open(path);
    const names = await page.evaluate(() => Object.keys(conch));
    assert.deepEqual(names.sort(), NAMES);
  }
  assert.ok(!market.served.some((path) => path.endsWith(".wasm")), "the wasm comes with the first call");
});

scene("a load that failed is tried again by the next call", async ({ market, open }) => {
  market.wasmFailures = 1;
  const page = await open("/sites/plain/");
  const loads = () =>
    page.evaluate(() => conch.init().then(String, (error: unknown) => conch.isConchError(error) && error.code));
  assert.equal(await loads(), "not-loaded");
  assert.equal(await loads(), "undefined");
  assert.equal(await loads(), "undefined");
  assert.equal(market.served.filter((path) => path.endsWith(".wasm")).length, 2);
});

scene("a page may bring the wasm itself", async ({ market, open }) => {
  const page = await open("/sites/plain/");
  const from = "/node_modules/conch-edge/dist/conch_bg.wasm?mine";
  await page.evaluate(async (from) => conch.init(await fetch(from)), from);
  assert.equal(await owed(page), 0);
  assert.equal(market.served.filter((path) => path.endsWith(".wasm")).length, 1);
});

scene("a city of another origin that lets the page in is delivered to", async ({ market, open }) => {
  const city = await Market.open(folder);
  try {
    const page = await open("/sites/plain/");
    const sell = async ([city, sale]: [string, typeof SALE]) => {
      const edge = await conch.Edge.open({ city, device: "till-2", credentials: () => "token" });
      const { id } = await edge.emit(sale);
      return { id, verdict: (await edge.settled(id)).verdict };
    };
    const { id, verdict } = await page.evaluate(sell, [city.origin, SALE] satisfies [string, typeof SALE]);
    assert.equal(verdict, "accepted");
    assert.deepEqual([city.taken, market.taken], [[id], []]);
  } finally {
    await city.close();
  }
});

scene("a server that knows nothing of us gets each order once, in order per table", async ({ open }) => {
  const shop = await Shop.open();
  shop.lostAnswers = 6;
  try {
    const page = await open("/sites/plain/");
    await page.evaluate(async (single) => {
      const edge = await conch.Edge.open({ single, device: "waiter-1" });
      for (const dish of ["soup", "rice", "tea"]) {
        for (const table of ["a", "b", "c", "d", "e"]) {
          await edge.emit({ topic: "shop.order.v1", type: "made", key: table, payload: { table, dish } });
        }
      }
      globalThis.edge = Promise.resolve(edge);
    }, shop.address);
    await page.reload();
    const settled = (single: string) =>
      new Promise<unknown>((resolve) => {
        conch.Edge.open({ single, device: "waiter-1" }).then((edge) => {
          globalThis.edge = Promise.resolve(edge);
          edge.flush();
          edge.subscribe(({ backlog }) => backlog === 0 && resolve(undefined));
        });
      });
    await page.evaluate(settled, shop.address);
    const of = (table: string) => shop.orders.filter((order) => order.table === table).map(({ dish }) => dish);
    for (const table of ["a", "b", "c", "d", "e"]) assert.deepEqual(of(table), ["soup", "rice", "tea"], table);
    assert.ok(shop.requests > shop.orders.length, "answers were lost and asked for again");

    const order: Order = { table: "a", dish: "sold out" };
    const letters = await page.evaluate(async (payload) => {
      const outbox = await edge;
      const { id } = await outbox.emit({ topic: "shop.order.v1", type: "made", key: "a", payload: { ...payload } });
      const { verdict, problem } = await outbox.settled(id);
      return { verdict, problem, dead: (await outbox.deadLetters()).length };
    }, order);
    assert.equal(letters.verdict, "refused");
    assert.equal(letters.problem?.detail, "There is no more of this dish.");
    assert.equal(letters.dead, 1);
  } finally {
    await shop.close();
  }
});

scene("the guide's page without a bundler sends its orders", async ({ open }) => {
  const shop = await Shop.open();
  try {
    const page = await open(await placePage(folder, shop.address));
    const answered = page.waitForResponse((response) => response.request().method() === "POST");
    await page.click("button");
    await answered;
    await page.waitForFunction(() => document.querySelector("output")?.textContent === "0");
    assert.deepEqual(shop.orders, [{ dish: "soup" }]);
  } finally {
    await shop.close();
  }
});

for (const [name, destination] of [
  ["orders.mjs", (address: string) => ({ single: `${address}/orders` })],
  ["city.mjs", (address: string) => ({ city: address, feed: false })],
] as const) {
  const lacking = hasSqlite ? false : "this Node has no SQLite of its own";
  const play = async ({ market, open }: Scene) => {
    const served = await Served.open(name, market.origin);
    try {
      const page = await open("/sites/plain/");
      const verdicts = await page.evaluate(async (destination) => {
        const edge = await conch.Edge.open({ ...destination, device: "till-1", credentials: () => "token" });
        const made = { topic: "shop.order.v1", type: "made" } as const;
        const emits = ["a", "b", "a", "b"].map((key) => edge.emit({ ...made, key, payload: { dish: "soup" } }));
        emits.push(edge.emit({ ...made, key: "c", payload: { drink: "tea" } }));
        const settled = (await Promise.all(emits)).map(({ id }) => edge.settled(id));
        return (await Promise.all(settled)).map(({ verdict, problem }) => problem?.detail ?? verdict);
      }, destination(served.address));
      const taken = ["accepted", "accepted", "accepted", "accepted"];
      assert.deepEqual(verdicts, [...taken, "An order names its dish."]);
    } finally {
      await served.close();
    }
  };
  scene(`the guide's ${name} takes orders of another origin's page and refuses what is none`, play, lacking);
}

scene("after a panic the page is told, and a reopened outbox goes on with what is owed", async ({ market, open }) => {
  market.away = true;
  const page = await open("/sites/plain/");
  const told = await page.evaluate(async (sale) => {
    const edge = await conch.Edge.open({ city: "/", device: "till-1" });
    globalThis.edge = Promise.resolve(edge);
    const notice = new Promise<{ kind: string; detail: string }>((resolve) => {
      edge.notices((notice) => notice.kind === "fault" && resolve(notice));
    });
    for (const trap of ["error", "unhandledrejection"]) addEventListener(trap, (event) => event.preventDefault());
    await edge.emit(sale);
    // No browser does this at once; it is what makes the module fail without a fault of its own.
    const real = globalThis.queueMicrotask;
    globalThis.queueMicrotask = (task) => task();
    edge.flush();
    const { kind, detail } = await notice;
    globalThis.queueMicrotask = real;
    const refused = await edge.emit(sale).then(String, (error) => error.code);
    return { kind, detail, refused };
  }, SALE);
  assert.equal(told.kind, "fault");
  assert.match(told.detail, /reopen/);
  assert.equal(told.refused, "closed");

  market.away = false;
  const after = await page.evaluate(async () => {
    const old = await edge;
    const fresh = await old.reopen();
    globalThis.edge = Promise.resolve(fresh);
    const [{ id } = { id: "" }] = await fresh.owed();
    const { verdict } = await fresh.settled(id);
    const again = await fresh.reopen();
    return { id, verdict, backlog: again.snapshot().backlog };
  });
  assert.equal(after.verdict, "accepted");
  assert.equal(after.backlog, 0);
  assert.deepEqual(market.taken, [after.id]);
});

scene("a service worker delivers in a sync event what a page left behind", async ({ market, context, open }) => {
  market.away = true;
  const page = await open("/sites/worker/");
  await page.evaluate(() => navigator.serviceWorker.register("./classic.js"));
  await page.addScriptTag({ type: "module", url: "/sites/plain/page.js" });
  const id = await page.evaluate(async (sale) => {
    const edge = await conch.Edge.open({ city: "/", device: "worker-1", sync: true });
    const { id } = await edge.emit(sale);
    return id;
  }, SALE);
  const devtools = await context.newCDPSession(page);
  const registration = new Promise<string>((resolve) => {
    devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      const [first] = registrations;
      if (first !== undefined) resolve(first.registrationId);
    });
  });
  await devtools.send("ServiceWorker.enable");
  const sync = { origin: market.origin, registrationId: await registration, tag: "conch", lastChance: false };
  // While the page leads the worker leaves the sending to it. The browser itself may have said so already.
  await devtools.send("ServiceWorker.dispatchSyncEvent", sync);
  const early = (await page.evaluate(() => ask(["synced"]))) as string[];
  assert.deepEqual([...new Set(early)], ["done"]);
  await page.goto(`${market.origin}/sites/plain/`);
  market.away = false;
  const again = await context.newCDPSession(page);
  await again.send("ServiceWorker.enable");
  await again.send("ServiceWorker.dispatchSyncEvent", sync);
  await page.goto(`${market.origin}/sites/worker/`);
  // This page has no outbox of its own, so whoever delivers is the worker.
  await market.delivered();
  assert.deepEqual(market.taken, [id]);
});

/** Lists what the pages of a scene ask IndexedDB for, in `asked`. */
async function listens(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    globalThis.asked = [];
    for (const call of ["open", "deleteDatabase"] as const) {
      const real = IDBFactory.prototype[call];
      IDBFactory.prototype[call] = function (name: string, version?: number) {
        asked.push(`${call} ${name}`);
        return version === undefined ? real.call(this, name) : real.call(this, name, version);
      };
    }
  });
}

const leads = (page: Page) =>
  page.evaluate(async () => {
    const outbox = await edge;
    await new Promise<void>((resolve) => void outbox.subscribe(({ leader }) => leader && resolve()));
  });
const OUTBOX = "open conch-till-1";
const NEW_LOG = ["open conch:scratch", "deleteDatabase conch:scratch"];

scene("Chromium is made to begin a new log by the first page, and not by one beside it", async ({ context, open }) => {
  await listens(context);
  for (let evening = 0; evening < 2; evening += 1) {
    const first = await open("/sites/plain/");
    await openOutbox(first);
    await first.waitForFunction(() => asked.length > 2);
    assert.deepEqual((await first.evaluate(() => asked)).sort(), [OUTBOX, ...NEW_LOG].sort());
    await leads(first);
    const second = await open("/sites/plain/");
    await openOutbox(second);
    await first.close();
    await leads(second);
    assert.deepEqual(await second.evaluate(() => asked), [OUTBOX]);
    await second.waitForFunction(async () => (await indexedDB.databases()).length === 1);
    await second.close();
  }
});

scene("where storage is nearly full the log is left as it is", async ({ context, open }) => {
  await listens(context);
  await context.addInitScript(() => {
    // All of it could not be written once more, with 8 MiB to spare.
    const told = { usage: 100 * 1024 * 1024, quota: 208 * 1024 * 1024 - 1 };
    // The empty page before it is no secure context.
    if ("storage" in navigator) navigator.storage.estimate = async () => told;
  });
  const page = await open("/sites/plain/");
  await openOutbox(page);
  await leads(page);
  assert.deepEqual(await page.evaluate(() => asked), [OUTBOX]);
});

scene("a database of the page's own under the scratch name stays", async ({ context, open }) => {
  await listens(context);
  const page = await open("/sites/plain/");
  await page.evaluate(async () => {
    await new Promise<void>((resolve) => {
      const opening = indexedDB.open("conch:scratch");
      opening.onupgradeneeded = () => void opening.result.createObjectStore("mine");
      opening.onsuccess = () => {
        opening.result.close();
        resolve();
      };
    });
    asked.length = 0;
  });
  await openOutbox(page);
  await page.waitForFunction(() => asked.length > 1);
  // It is opened again only after whoever looked into it has let go.
  const stores = await page.evaluate(
    () =>
      new Promise<string[]>((resolve) => {
        const opening = indexedDB.open("conch:scratch", 2);
        opening.onsuccess = () => resolve([...opening.result.objectStoreNames]);
      }),
  );
  assert.deepEqual(stores, ["mine"]);
});

scene("a worker that would have to wait for long gives the browser its turn", async ({ market, open }) => {
  market.busyS = 300;
  const page = await open("/sites/plain/");
  const code = await page.evaluate(async (sale) => {
    const options = { city: "/", device: "till-1" };
    const edge = await conch.Edge.open(options);
    await edge.emit(sale);
    await new Promise<void>((resolve) => {
      edge.subscribe(({ whyNotSending }) => whyNotSending === "waiting-told" && resolve());
    });
    await edge.close();
    // The wait is on disk by now, and nobody has to be told once more.
    return conch.deliver(options).then(String, (error: unknown) => conch.isConchError(error) && error.code);
  }, SALE);
  assert.equal(code, "owed");
  assert.deepEqual(market.taken, []);
});

scene("100,000 events leave no memory behind", async ({ market, open }) => {
  const page = await open("/sites/plain/");
  const sizes = await page.evaluate(async () => {
    const made: WebAssembly.Exports[] = [];
    const real = WebAssembly.instantiateStreaming;
    WebAssembly.instantiateStreaming = async (source, imports) => {
      const loaded = await real.call(WebAssembly, source, imports);
      made.push(loaded.instance.exports);
      return loaded;
    };
    const edge = await conch.Edge.open({ city: "/", device: "till-1" });
    const sizes: { bytes: number; handles: number }[] = [];
    for (let told = 0; told < 100_000; told += 1_000) {
      const turn = Array.from({ length: 1_000 }, (_, place) =>
        edge.emit({ topic: "stall.note.v1", type: "made", key: `k-${told + place}`, payload: { place } }),
      );
      await Promise.all(turn);
      await new Promise((resolve) => {
        const stop = edge.subscribe(({ backlog }) => {
          if (backlog < (told < 99_000 ? 500 : 1)) queueMicrotask(() => resolve(stop()));
        });
      });
      // By kind, for names are short and mean nothing: one memory, and one table that can grow, of handles to JavaScript's values.
      const parts = Object.values(made[0] ?? {});
      const memory = parts.find((part) => part instanceof WebAssembly.Memory);
      const tables = parts.filter((part) => part instanceof WebAssembly.Table);
      if (memory === undefined || tables.length !== 1) throw new Error("another module than this test knows");
      sizes.push({ bytes: memory.buffer.byteLength, handles: tables[0]?.length ?? 0 });
    }
    return sizes;
  });
  assert.equal(market.taken.length, 100_000);
  const [early, last] = [sizes[20], sizes.at(-1)];
  assert.ok(early !== undefined && last !== undefined);
  // The smallest thing that could be left behind by each event has 16 bytes. Memory is taken 64 KiB at a time, and a
  // moment with more owed than any before takes some.
  const grown = (last.bytes - early.bytes) / 79_000;
  assert.ok(grown < 12, `${grown} bytes an event from the 21,000th to the 100,000th`);
  assert.ok(last.handles <= early.handles * 2, `${early.handles} handles, then ${last.handles}`);
});
