// A look at one state of a screen, as a person, an inspector and a printer would have it: in both languages and themes, on
// a small and on an ordinary phone, or wherever else it is used. A new state of a page is one more call of `look`.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { blemishes } from "./blemishes.js";
import { until } from "./until.js";

export interface Size {
  width: number;
  height: number;
  /** The picture goes on to the page's end, for pages that people scroll. */
  whole?: boolean;
}

const phones: readonly Size[] = [
  { width: 360, height: 640 },
  { width: 390, height: 844 },
];
const languages = ["zh-Hant", "en"] as const;
const themes = ["night", "contrast"] as const;

/** Level A and AA of every version up to WCAG 2.2. */
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const inspector = readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Where the pictures go; without it none are made. */
const shots = process.env.CONCH_SHOTS;

/** Looks at the screen as it stands, and fails with everything that is wrong with it. */
export async function look(page: Page, name: string, sizes = phones): Promise<void> {
  const before = page.viewportSize();
  const wrong: string[] = [];
  for (const language of languages) {
    await press(page, "language", () => document.documentElement.lang, language);
    for (const theme of themes) {
      await press(page, "theme", () => document.documentElement.dataset.theme ?? "", theme);
      for (const size of sizes) {
        await page.setViewportSize({ width: size.width, height: size.height });
        const view = `${name} ${language} ${theme} ${size.width}x${size.height}`;
        await shoot(page, view, size.whole ?? false);
        for (const found of [...(await blemishes(page)), ...(await inspect(page))]) wrong.push(`${view}: ${found}`);
      }
    }
  }
  await press(page, "language", () => document.documentElement.lang, "zh-Hant");
  await press(page, "theme", () => document.documentElement.dataset.theme ?? "", "night");
  if (before !== null) await page.setViewportSize(before);
  assert.deepEqual(wrong, [], `${name} is not fit to be looked at`);
}

/** Presses a switch until the page is as wanted; also behind an open dialog, where no finger reaches it. */
async function press(page: Page, id: string, read: () => string, wanted: string): Promise<void> {
  if ((await page.evaluate(read)) === wanted) return;
  await page.evaluate((own) => document.querySelector<HTMLElement>(`[data-testid=${own}]`)?.click(), id);
  // The words of a language may have to be fetched first.
  await until(`${wanted} by the ${id} switch`, async () => (await page.evaluate(read)) === wanted);
}

async function shoot(page: Page, view: string, fullPage: boolean): Promise<void> {
  // What a person sees, settled: the last paint has the last words.
  await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
  if (shots === undefined) return;
  if (fullPage) await page.evaluate(() => scrollTo(0, 0));
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${view.replaceAll(/[^\w-]+/g, "-")}.png`), fullPage });
}

interface Findings {
  violations: { id: string; help: string; nodes: { target: unknown[]; failureSummary?: string }[] }[];
}

/** What axe finds against WCAG. */
export async function inspect(page: Page): Promise<string[]> {
  // By the driver, which is above the page's policy: that lets no foreign script in, and is right.
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(await inspector);
  const { violations } = await page.evaluate<Findings, string[]>((values) => {
    const { axe } = globalThis as unknown as { axe: { run(of: Document, how: object): Promise<Findings> } };
    return axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] });
  }, rules);
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id} (${help}) at ${node.target.join(" ")}: ${node.failureSummary ?? ""}`),
  );
}
