import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Gate, Till } from "./screens.js";
import { scenario } from "./world.js";

/** WCAG 2.2, 1.4.11: what shows a state has this contrast with what lies beside it. */
const CONTRAST_MIN = 3;
const RING_PX_MIN = 2;

interface Ring {
  name: string;
  width: number;
  colour: string;
  ground: string;
}

/** The ring around whatever has the focus now, and what it is painted on. */
function ring(page: Page): Promise<Ring | null> {
  return page.evaluate(() => {
    const focused = document.activeElement;
    if (focused === null || focused === document.body) return null;
    // A hidden radio shows its focus on the words beside it.
    const shown = focused.matches("input[type=radio]") ? (focused.nextElementSibling ?? focused) : focused;
    const { outlineWidth, outlineStyle, outlineColor } = getComputedStyle(shown);
    let ground = "rgb(0, 0, 0)";
    for (let box = shown.parentElement; box !== null; box = box.parentElement) {
      ground = getComputedStyle(box).backgroundColor;
      if (ground !== "rgba(0, 0, 0, 0)") break;
    }
    const name = shown.getAttribute("data-testid") ?? shown.textContent ?? "";
    return { name, width: outlineStyle === "none" ? 0 : Number.parseFloat(outlineWidth), colour: outlineColor, ground };
  });
}

/** Relative luminance as WCAG defines it. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).slice(0, 3).map((part) => {
    const share = Number(part) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

/** Walks the whole page by keyboard and gives where it came by. */
async function walk(page: Page): Promise<string[]> {
  const met: string[] = [];
  // From the top: Tab goes on from what was touched last.
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
  });
  for (let step = 0; step < 60; step += 1) {
    await page.keyboard.press("Tab");
    const seen = await ring(page);
    if (seen === null || met.includes(seen.name)) break;
    met.push(seen.name);
    assert.ok(seen.width >= RING_PX_MIN, `${seen.name} shows no focus`);
    const told = contrast(seen.colour, seen.ground);
    assert.ok(told >= CONTRAST_MIN, `${seen.name}: ${seen.colour} on ${seen.ground} is ${told.toFixed(2)}`);
  }
  return met;
}

scenario("whoever uses a keyboard sees where they are, in both themes", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-f1");
  await till.enrolled();
  const gate = await Gate.open(phone, city, "gate-f1");
  await gate.enrolled();
  // Two amounts: the same one twice would be asked about.
  for (const [theme, dollars] of [
    ["night", 30],
    ["contrast", 40],
  ] as const) {
    await till.look();
    assert.equal(await till.theme(), theme);
    const met = await walk(till.page);
    for (const id of ["language", "attention", "send-now", "theme", "key-1", "key-back"])
      assert.ok(met.includes(id), id);
    await till.sell(dollars, "paid");
    assert.ok((await walk(till.page)).includes("next-sale"));
    await till.next();
    await till.get("theme").click();

    await gate.look();
    assert.ok((await walk(gate.page)).includes("ticket"));
    await gate.get("theme").click();
  }
});
