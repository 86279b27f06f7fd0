// Parts of a page that come after it: there before the network goes, and honest when they did not come.
import assert from "node:assert/strict";
import { readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { City } from "./city.js";
import { look } from "./look.js";
import { Gate, Till } from "./screens.js";
import { scenario } from "./world.js";

/** Takes the files of a part from the city; call the answer to put them back. */
async function without(city: City, page: string, part: string): Promise<() => Promise<void>> {
  const folder = join(city.pages, page, "assets");
  const files = (await readdir(folder)).filter((file) => file.startsWith(`${part}-`));
  assert.notEqual(files.length, 0);
  const move = (from: string, to: string) => Promise.all(files.map((file) => rename(join(from, file), join(to, file))));
  await move(folder, city.pages);
  return async () => void (await move(city.pages, folder));
}

scenario("the sheets that come later are there without network, and nobody waited for them", async (world) => {
  const { city, phone } = world;
  const till = await Till.open(phone, city, "stall-p1");
  await till.sell(40, "paid");
  const gate = await Gate.open(phone, city, "gate-p1");
  await gate.scan("T-1", "admitted");
  for (const [screen, button, sheet] of [
    [till, "night", "night-sheet"],
    [gate, "shift", "shift-sheet"],
  ] as const) {
    await screen.look();
    await screen.enrolled();
    await screen.shellKept();
    await phone.context.setOffline(true);
    await screen.page.reload();
    await screen.ready();
    await screen.get(button).click();
    await screen.get(sheet).getByTestId("totals").waitFor();
    await screen.get(sheet).getByTestId("sign-out").waitFor();
    await screen.get(`${button}-close`).click();
    await screen.get("attention").click();
    await screen.get("dead-empty").waitFor();
    await screen.get("attention-close").click();
    await phone.context.setOffline(false);
  }
});

scenario("a sheet that did not come says so, and comes with a reload once the city is there", async (world) => {
  const { city, phone } = world;
  const back = await without(city, "scanner", "shift");
  const gate = await Gate.open(phone, city, "gate-p2");
  await gate.scan("T-2", "admitted");
  await gate.link("up");
  await city.kill();
  await gate.scan("T-3", "saved");
  await gate.link("down");
  await gate.get("shift").click();
  await gate.get("part-missing").waitFor();
  assert.equal(await gate.get("part-reload").count(), 0, "without network a reload may take the page away");

  await back();
  await city.run();
  // Behind the sheet; whoever waits for the next try sees it come all the same.
  await gate.get("send-now").dispatchEvent("click");
  await gate.get("part-reload").waitFor();
  await look(gate.page, "a part that did not come");
  await gate.get("part-reload").click();
  await gate.ready();
  await gate.get("shift").click();
  await gate.get("shift-sheet").getByTestId("let-in").filter({ hasText: "2" }).waitFor();
});
