import assert from "node:assert/strict";
import { blemishes } from "./blemishes.js";
import { inspect } from "./look.js";
import { scenario } from "./world.js";

scenario("the sheets for a market without any phone print on a page each", async ({ city, phone }) => {
  const page = await phone.open(`${city.origin}/pages`);
  await page.getByRole("link", { name: "紙本備案" }).click();
  await page.getByRole("heading", { name: "全部停擺時：攤位" }).waitFor();
  assert.deepEqual([...(await blemishes(page)), ...(await inspect(page))], []);
  const printed = (await page.pdf({ preferCSSPageSize: true })).toString("latin1");
  assert.equal(printed.match(/\/Type \/Page\b(?!s)/g)?.length, 2);
});
