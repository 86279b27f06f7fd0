import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Phone } from "./phone.js";
import { Gate, Till } from "./screens.js";
import { scenario } from "./world.js";

interface Shift extends PerformanceEntry {
  value: number;
  hadRecentInput: boolean;
  sources: { node: Node | null; previousRect: DOMRectReadOnly; currentRect: DOMRectReadOnly }[];
}

/** Notes every move of the layout that no finger asked for, from the first paint of every page on. */
async function watch(phone: Phone): Promise<void> {
  await phone.context.addInitScript(() => {
    const moved: string[] = [];
    const watched = { moved, touchedAt: 0 };
    Object.assign(globalThis, { watched });
    for (const kind of ["pointerdown", "pointerup", "keydown"]) {
      addEventListener(kind, () => Object.assign(watched, { touchedAt: performance.now() }), true);
    }
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as unknown as Shift[]) {
        if (entry.hadRecentInput) continue;
        const box = ({ x, y, width, height }: DOMRectReadOnly): string => `${x},${y} ${width}x${height}`;
        const sources = entry.sources.filter(({ node, previousRect, currentRect }) => {
          const holder = node instanceof Element ? node : node?.parentElement;
          // Other words in the same place are no move, and a row's word may take a second line within its row.
          return box(previousRect) !== box(currentRect) && holder?.closest(".row-word") === null;
        });
        if (sources.length === 0) continue;
        const nodes = sources.map(({ node, previousRect, currentRect }) => {
          const name = node instanceof Element ? node.outerHTML.slice(0, 80) : `“${node?.nodeValue}”`;
          return `${name} from ${box(previousRect)} to ${box(currentRect)}`;
        });
        moved.push(`${entry.value.toFixed(4)} ${nodes.join(" | ")}`);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
}

interface Watched {
  watched: { moved: string[]; touchedAt: number };
}

/** What moves within half a second of a touch is held to be its effect; from here on nothing is. */
async function handsOff(page: Page): Promise<void> {
  await page.waitForFunction(() => performance.now() - (globalThis as unknown as Watched).watched.touchedAt > 500);
}

/** Presses without a finger. */
async function press(page: Page, id: string): Promise<void> {
  await page.evaluate((own) => document.querySelector<HTMLElement>(`[data-testid=${own}]`)?.click(), id);
}

async function moves(page: Page): Promise<string[]> {
  await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
  return page.evaluate(() => (globalThis as unknown as Watched).watched.moved.splice(0));
}

async function stands(page: Page, when: string): Promise<void> {
  const moved = await moves(page);
  assert.deepEqual(moved, [], `something moved ${when}`);
}

scenario("nothing on the till moves by itself, whatever comes and goes", async ({ city, phone }) => {
  await watch(phone);
  const till = await Till.open(phone, city, "stall-s1");
  await till.page.setViewportSize({ width: 360, height: 640 });
  await till.enrolled();
  await till.link("up");
  await stands(till.page, "while it opened and enrolled");

  await phone.context.setOffline(true);
  await till.sell(80, "saved");
  await handsOff(till.page);
  await till.link("down");
  await stands(till.page, "when the link went");
  await city.weather("stall-s1", { mode: "drop-answer" });
  await phone.context.setOffline(false);
  await press(till.page, "send-now");
  await till.card("unknown");
  await stands(till.page, "when an answer was lost");
  await city.weather("stall-s1", { mode: "clear" });
  await press(till.page, "send-now");
  await till.card("paid");
  await stands(till.page, "when the sale was confirmed");

  // The watch itself is watched: it must see what a careless page would do. No finger may have been there just before.
  await till.page.reload();
  await till.ready();
  await moves(till.page);
  await till.page.evaluate(() => {
    const careless = document.createElement("p");
    careless.textContent = "late";
    document.querySelector("main")?.prepend(careless);
  });
  assert.notDeepEqual(await moves(till.page), []);
});

scenario("nothing on the scanner moves by itself, whatever comes and goes", async ({ city, phone }) => {
  await watch(phone);
  const gate = await Gate.open(phone, city, "gate-s1");
  await gate.page.setViewportSize({ width: 360, height: 640 });
  await gate.enrolled();
  await gate.link("up");
  await stands(gate.page, "while it opened and enrolled");
  await gate.scan("T-1", "admitted");
  await stands(gate.page, "while a ticket was scanned");
  await phone.context.setOffline(true);
  await gate.scan("T-2", "saved");
  await handsOff(gate.page);
  await gate.link("down");
  await phone.context.setOffline(false);
  await press(gate.page, "send-now");
  await gate.result("T-2", "admitted");
  await stands(gate.page, "when the ticket was confirmed");
});
