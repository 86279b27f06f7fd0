// A small market for tests: what the city says of its stalls, answered in the city's place.
import type { Phone } from "./phone.js";

const squid = { id: "squid", name: { "zh-Hant": "炭烤大魷魚", en: "Grilled squid" }, price: 12_000 };
const tofu = { id: "tofu", name: { "zh-Hant": "脆皮臭豆腐", en: "Crispy stinky tofu" }, price: 8_000 };
const tea = { id: "tea", name: { "zh-Hant": "古早味紅茶", en: "Old-time black tea" }, price: 3_000 };
const omelette = { id: "omelette", name: { "zh-Hant": "蚵仔煎", en: "Oyster omelette" }, price: 9_000 };
const ice = { id: "ice", name: { "zh-Hant": "芒果雪花冰", en: "Mango snow ice" }, price: 15_000 };

/** From now on this phone hears that the market has one stall with a menu. */
export async function serveMarket(phone: Phone, stall: string): Promise<void> {
  const market = {
    name: { "zh-Hant": "蒼螺夜市", en: "Canglu Night Market" },
    gates: [{ id: "n1", name: "N1" }],
    stalls: [
      {
        id: stall,
        name: { "zh-Hant": "阿明海鮮", en: "Ming's Seafood" },
        circuit: "c1",
        menu: [squid, tofu, tea, omelette, ice],
      },
    ],
  };
  await phone.context.route("**/v1/market", (route) =>
    route.fulfill({
      status: 200,
      headers: { "content-type": "application/json", "conch-city": "a-test" },
      body: JSON.stringify(market),
    }),
  );
}
