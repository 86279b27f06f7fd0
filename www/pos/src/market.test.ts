import assert from "node:assert/strict";
import { test } from "node:test";
import { readMarket } from "./market.ts";

const squid = { id: "squid", name: { "zh-Hant": "烤魷魚", en: "Squid" }, price: 12_000 };
const answer = {
  name: { "zh-Hant": "蒼螺夜市", en: "Canglu" },
  gates: [{ id: "n1", name: "N1" }],
  stalls: [
    { id: "stall-7", name: { "zh-Hant": "阿明魷魚", en: "Ming's" }, circuit: "c1", menu: [squid] },
    { id: "stall-8", name: { "zh-Hant": "茶", en: "Tea" }, menu: [] },
  ],
};

test("the menu is the one of the device's own place", () => {
  const market = readMarket(answer, "stall-7", 5);
  assert.deepEqual(market.stall?.menu, [squid]);
  assert.equal(market.name?.en, "Canglu");
  assert.equal(market.at, 5);
});

test("a place the market does not name has no menu, and neither has a city without a market", () => {
  assert.equal(readMarket(answer, "stall-9", 5).stall, null);
  for (const nothing of [null, [], "menu", { stalls: 3 }]) assert.equal(readMarket(nothing, "stall-7", 5).stall, null);
});

test("what cannot be sold as it stands is left out", () => {
  const bad = [
    { ...squid, id: "" },
    { ...squid, id: "a", price: 0 },
    { ...squid, id: "b", price: 12.5 },
    { ...squid, id: "c", price: "80" },
    { ...squid, id: "d", name: {} },
    null,
    squid,
    { ...squid, price: 1 },
  ];
  const stalls = [{ id: "stall-7", name: {}, menu: bad }];
  assert.deepEqual(readMarket({ stalls }, "stall-7", 5).stall?.menu, [squid], "and an id is sold at one price");
});

test("a name in one language serves for both", () => {
  const stalls = [{ id: "s", name: { en: "Tea" }, menu: [{ ...squid, name: { "zh-Hant": "魷魚" } }] }];
  const { stall } = readMarket({ stalls }, "s", 5);
  assert.deepEqual(stall?.name, { "zh-Hant": "Tea", en: "Tea" });
  assert.deepEqual(stall?.menu[0]?.name, { "zh-Hant": "魷魚", en: "魷魚" });
});
