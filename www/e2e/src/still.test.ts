import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Phone } from "./phone.js";
import { Gate, Till } from "./screens.js";
import { scenario } from "./world.js";

interface Shift extends PerformanceEntry {
  value: number;
  hadRecentInput: boolean;
  sources: { node: Node | null }[];
}

/** Notes every move of the layout that no finger asked for, from the first paint of every page on. */
async function watch(phone: Phone): Promise<void> {
  await phone.context.addInitScript(() => {
    const moved: string[] = [];
    Object.assign(globalThis, { moved });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as unknown as Shift[]) {
        if (entry.hadRecentInput) continue;
        const nodes = entry.sources.map(({ node }) => (node instanceof Element ? node.outerHTML.slice(0, 120) : ""));
        moved.push(`${entry.value.toFixed(4)} ${nodes.join(" | ")}`);
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
}

async function moves(page: Page): Promise<string[]> {
  await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
  return page.evaluate(() => (globalThis as unknown as { moved: string[] }).moved.splice(0));
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
  await till.link("down");
  await stands(till.page, "when the link went");
  await till.next();
  await phone.context.setOffline(false);
  await till.sendNow();
  await till.pending(0);
  await till.sales("paid", 1);
  await stands(till.page, "when the sale was confirmed");

  await till.evict();
  await till.get("trouble").waitFor();
  await stands(till.page, "when a note came");

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
  await phone.context.setOffline(true);
  await gate.scan("T-2", "saved");
  await gate.link("down");
  await phone.context.setOffline(false);
  await gate.sendNow();
  await gate.result("T-2", "admitted");
  await stands(gate.page, "while tickets were scanned and confirmed");
});
