import assert from "node:assert/strict";
import { serveMarket } from "./market.js";
import { Till } from "./screens.js";
import { holds, scenario, type World } from "./world.js";

async function openWithMenu({ city, phone }: World, device: string): Promise<Till> {
  await serveMarket(phone, device);
  const till = await Till.open(phone, city, device);
  await till.get("menu").waitFor();
  await till.enrolled();
  return till;
}

scenario("the menu fills a cart, its lines can be changed, and it is charged as one sale", async (world) => {
  const till = await openWithMenu(world, "stall-c1");
  await till.shoot("01-menu");
  await till.tap("squid", "squid", "tea", "ice");
  await till.cart("squid×2 tea×1 ice×1");
  await till.total("420");
  await till.page.locator("[data-item=tea] [data-testid=more]").click();
  await till.page.locator("[data-item=squid] [data-testid=fewer]").click();
  await till.page.locator("[data-item=ice] [data-testid=remove]").click();
  await till.cart("squid×1 tea×2");
  await till.get("pad-keypad").click();
  await till.enter(25);
  await till.total("205");
  await till.shoot("02-cart");
  await till.get("keep-typed").click();
  await till.cart("squid×1 tea×2 =25×1");
  await till.total("205");
  await till.get("charge").click();
  await till.card("paid");
  assert.match((await till.get("sale").textContent()) ?? "", /NT\$205/);
  await till.shoot("03-paid");
  await till.next();
  await till.cart("");
  await till.total("0");
  await holds(world.city, { events: 1, orders: 1, captures: 1 });
});

scenario(
  "a city without a market leaves the keypad, and so does one that was never reached",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-c2");
    await till.enrolled();
    await till.get("key-1").waitFor();
    assert.equal(await till.get("menu").count(), 0);
    assert.equal(await till.get("pad-menu").count(), 0);
  },
);

scenario(
  "without a menu the amounts typed last are a tap away, and nothing moves for them",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-c9");
    await till.get("key-1").waitFor();
    const where = () => till.get("keypad").boundingBox();
    const before = await where();
    await till.sell(120, "paid");
    await till.next();
    await till.sell(45, "paid");
    await till.next();
    assert.deepEqual(await where(), before);
    assert.deepEqual(await till.get("lately").allTextContents(), ["+45", "+120"]);

    await till.get("lately").last().click();
    await till.get("lately").last().click();
    await till.get("lately").first().click();
    await till.total("285");
    await till.get("charge").click();
    await till.card("paid");
    await holds(city, { events: 3, captures: 3 });
    await till.page.reload();
    await till.ready();
    assert.deepEqual(await till.get("lately").allTextContents(), ["+45", "+120"]);
  },
);

scenario("menu and cart are there at a cold start without network, and the sale arrives later", async (world) => {
  const { city, phone } = world;
  const till = await openWithMenu(world, "stall-c3");
  await till.shellKept();
  await till.tap("tofu", "tofu");
  await till.cart("tofu×2");
  await phone.context.unroute("**/v1/market");
  await phone.context.setOffline(true);
  await till.page.reload();
  await till.ready();
  await till.cart("tofu×2");
  await till.tap("tea");
  await till.get("charge").click();
  await till.card("saved");
  await holds(city, { events: 0 });
  await serveMarket(phone, "stall-c3");
  await phone.context.setOffline(false);
  await till.sendNow();
  await till.card("paid");
  await holds(city, { events: 1, captures: 1 });
});

scenario("cart and half-typed amount survive a killed browser, and nothing was charged", async (world) => {
  const { city, phone } = world;
  const till = await openWithMenu(world, "stall-c4");
  await till.tap("omelette", "tea");
  await till.get("pad-keypad").click();
  await till.enter(7);
  await till.get("method-confirmed_elsewhere").click();
  await till.total("127");
  // What is on the screen is on disk a moment later; a reload waits for that moment, a kill does not.
  await till.page.reload();
  await till.ready();
  await till.total("127");
  await phone.kill();
  await phone.boot();
  const again = await openWithMenu(world, "stall-c4");
  await again.cart("omelette×1 tea×1");
  await again.total("127");
  assert.equal(await again.page.locator("[data-testid=method-confirmed_elsewhere] input").isChecked(), true);
  await again.sales("paid", 0);
  await holds(city, { events: 0 });
});

scenario("two tabs of one till show the same cart and charge it once", async (world) => {
  const { city, phone } = world;
  const left = await openWithMenu(world, "stall-c5");
  const right = await Till.open(phone, city, "stall-c5");
  await left.look();
  await left.tap("squid");
  await right.cart("squid×1");
  await right.look();
  await right.tap("tea");
  await left.cart("squid×1 tea×1");
  // Two hands in the same moment.
  await Promise.all([left, right].map((till) => till.get("charge").dispatchEvent("click")));
  await left.look();
  await left.sales("paid", 1);
  await left.pending(0);
  await holds(city, { events: 1, orders: 1, captures: 1 });
});

scenario("a browser killed at the tap that charges a cart leaves the cart or the sale, never both", async (world) => {
  const { city, phone } = world;
  const till = await openWithMenu(world, "stall-c6");
  await till.tap("ice");
  await till.cart("ice×1");
  await till.get("charge").dispatchEvent("click");
  await phone.kill();
  await phone.boot();
  const again = await Till.open(phone, city, "stall-c6");
  await again.sendNow();
  await again.pending(0);
  const sold = await again.get("sale-row").count();
  await again.sales("paid", sold);
  // A sale that was cut off shows its card.
  if ((await again.get("sale").count()) > 0) await again.next();
  await again.cart(sold === 1 ? "" : "ice×1");
  await holds(city, { events: sold, captures: sold });
});

scenario("a power cut in the middle of a sale leaves exactly one charge, and an empty cart", async (world) => {
  const { city, phone } = world;
  const till = await openWithMenu(world, "stall-c8");
  await city.weather("stall-c8", { mode: "drop-answer" });
  await till.tap("squid", "tea");
  await till.get("charge").click();
  // The till says that it has the sale, and the city may have it or not.
  const key = await till.card("saving|saved|unknown");
  await phone.kill();
  await city.weather("stall-c8", { mode: "clear" });
  await phone.boot();
  const again = await Till.open(phone, city, "stall-c8");
  await again.sendNow();
  await again.sales("paid", 1);
  await again.pending(0);
  assert.equal(await again.get("sale-row").getAttribute("data-key"), key);
  if ((await again.get("sale").count()) > 0) await again.next();
  await again.total("0");
  await holds(city, { events: 1, orders: 1, captures: 1 });
});

scenario("twenty carts charged in the dark survive a cold start and are each delivered exactly once", async (world) => {
  const { city, phone } = world;
  const till = await openWithMenu(world, "stall-c7");
  await till.shellKept();
  await phone.context.unroute("**/v1/market");
  await phone.context.setOffline(true);
  for (let sale = 1; sale <= 20; sale += 1) {
    await till.tap("tea");
    await till.get("pad-keypad").click();
    await till.enter(sale);
    await till.get("charge").click();
    await till.card("saved");
    await till.next();
    await till.get("pad-menu").click();
  }
  await till.pending(20);
  await till.page.reload();
  await till.ready();
  await till.pending(20);
  await till.sales("saved", 20);
  await holds(city, { events: 0 });
  await phone.context.setOffline(false);
  await till.sendNow();
  await till.pending(0);
  await till.sales("paid", 20);
  await holds(city, { events: 20, orders: 20, captures: 20 });
});
