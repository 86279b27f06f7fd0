// Draws each page's icons from its icon.svg: `npm run icons --workspace www/e2e`. Phones take PNG only, and cut a maskable
// one to their own shape, so what must be seen stays within the middle four fifths.
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { chromiumFlags, chromiumProgram } from "./chromium.js";

const www = fileURLToPath(new URL("../..", import.meta.url));
const icons = [
  { name: "icon-192.png", side: 192, share: 1 },
  { name: "icon-512.png", side: 512, share: 1 },
  { name: "icon-maskable-512.png", side: 512, share: 0.8 },
] as const;

const browser = await chromium.launch({ executablePath: chromiumProgram, args: [...chromiumFlags] });
const page = await browser.newPage();
for (const folder of await readdir(www)) {
  const place = join(www, folder, "public");
  if (!existsSync(join(place, "icon.svg"))) continue;
  const drawing = await readFile(join(place, "icon.svg"), "utf8");
  // The ground is the drawing's first rectangle; a smaller drawing stands on more of the same.
  const ground = /<rect[^>]*fill="([^"]+)"/.exec(drawing)?.[1] ?? "#000";
  for (const { name, side, share } of icons) {
    await page.setViewportSize({ width: side, height: side });
    const inner = Math.round(side * share);
    const style = `margin:0;display:grid;place-content:center;width:${side}px;height:${side}px;background:${ground}`;
    const sized = drawing.replace("<svg", `<svg width="${inner}" height="${inner}" style="display:block"`);
    await page.setContent(`<body style="${style}">${sized}`);
    await writeFile(join(place, name), await page.screenshot());
  }
}
await browser.close();
