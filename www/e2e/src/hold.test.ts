import assert from "node:assert/strict";
import type { Phone } from "./phone.js";
import { Till } from "./screens.js";
import { holds, reaches, scenario } from "./world.js";

const simulated = (faults: string): string[] => [`--acquirer-simulated=${faults}`, "--settle-every-s", "1"];

async function ask(till: Till, dollars: number): Promise<void> {
  await till.get("method-authorized_online").click();
  await till.enter(dollars);
  await till.get("charge").click();
}

async function stands(till: Till, step: string): Promise<void> {
  await till.page.locator(`[data-testid=hold][data-step=${step}]`).waitFor();
}

/** Every hold that is asked for is one the city does not know. */
async function givesHoldsOfNobody(phone: Phone): Promise<void> {
  await phone.context.route("**/v1/authorizations", (route) =>
    route.fulfill({
      status: 201,
      headers: { "content-type": "application/json", "conch-city": "a-test" },
      body: JSON.stringify({ authRef: "auth-none", state: "authorized" }),
    }),
  );
}

scenario(
  "an online authorization is asked for first, then the sale carries it, and is paid once the bank has decided",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h1");
    await till.enrolled();
    await ask(till, 150);
    await till.card("paid");
    await till.sales("paid", 1);
    await reaches(city, { events: 1, orders: 1, captures: 1 });
  },
  "development",
  // Slow enough that the till first hears that the bank has not decided.
  simulated("latency-ms=400-600"),
);

scenario(
  "without a link nothing is authorized, nothing is sold, and the words say so; the cart is still there",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h2");
    await till.enrolled();
    await phone.context.setOffline(true);
    await ask(till, 150);
    await stands(till, "away");
    await till.shoot("13-hold-away");
    await till.pending(0);
    await till.get("hold-leave").click();
    await till.total("150");
    await till.get("method-cash").click();
    await till.get("charge").click();
    await till.card("saved");
    await phone.context.setOffline(false);
    await till.sendNow();
    await till.card("paid");
    await holds(city, { events: 1, orders: 1, captures: 1 });
  },
  "development",
  simulated("seed=1"),
);

scenario(
  "a declined authorization sells nothing",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h3");
    await till.enrolled();
    await ask(till, 150);
    await stands(till, "declined");
    await till.shoot("14-hold-declined");
    await till.get("hold-leave").click();
    await till.total("150");
    await holds(city, { events: 0, orders: 0 });
  },
  "development",
  simulated("decline=1"),
);

scenario(
  "an authorization whose answer is lost is asked for again after a reload, under the same ids, and pays once",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h4");
    await till.enrolled();
    const asked: string[] = [];
    await phone.context.route("**/v1/authorizations", async (route) => {
      asked.push(`${route.request().headers()["idempotency-key"]} ${route.request().postData()}`);
      // The city has it; its answer never arrives.
      if (asked.length === 1) await route.fetch().then(() => route.abort());
      else await route.continue();
    });
    await ask(till, 150);
    await stands(till, "unknown");
    await till.shoot("15-hold-unknown");
    await till.page.reload();
    await till.ready();
    await stands(till, "unknown");
    await till.get("hold-again").click();
    await till.card("paid");
    assert.equal(asked.length, 2);
    assert.equal(asked[0], asked[1]);
    await reaches(city, { events: 1, orders: 1, captures: 1 });
  },
  "development",
  simulated("seed=1"),
);

scenario(
  "a sale whose hold turns out to be none is taken another way under the same order",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h7");
    await till.enrolled();
    await givesHoldsOfNobody(phone);
    await ask(till, 150);
    const key = await till.card("attention");
    await till.shoot("20-failed");
    await till.next();
    await till.attention(0);
    // No dead letter, and yet nobody may overlook it.
    await till.get("failures").click();
    await till.get("other-way").click();
    await till.shoot("21-another-way");
    await till.get("instead-cash").click();
    assert.equal(await till.card("paid"), key);
    await holds(city, { events: 2, orders: 1, captures: 1 });
  },
);

scenario("a city without an acquirer says so before anything is sold", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-h5");
  await till.enrolled();
  await ask(till, 150);
  await stands(till, "no-acquirer");
  await holds(city, { events: 0 });
});

scenario(
  "money that was taken twice goes back, and the sale shows why, when, how much and a reference, also after a reload",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h6");
    await till.enrolled();
    await ask(till, 150);
    const key = await till.card("paid");
    const refund = till.page.locator("[data-testid=refund][data-state=refunded]");
    await refund.waitFor();
    const words = (await refund.textContent()) ?? "";
    assert.match(words, /NT\$150/);
    assert.match(words, /txn-/);
    assert.match(words, /錢被扣了兩次/);
    await till.shoot("16-refund");
    await till.page.reload();
    await till.ready();
    await till.page.locator(`[data-testid=sale-row][data-key="${key}"]`).click();
    await refund.waitFor();
    await holds(city, { events: 1, orders: 1, captures: 1 });
  },
  "development",
  simulated("double=1"),
);

scenario(
  "a cart that changes in another tab while the bank is asked is not charged with the hold of the first",
  async ({ city, phone }) => {
    const left = await Till.open(phone, city, "stall-h8");
    const right = await Till.open(phone, city, "stall-h8");
    await left.look();
    await left.enrolled();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await phone.context.route("**/v1/authorizations", async (route) => {
      await released;
      await route.continue();
    });
    await ask(left, 150);
    await stands(left, "asking");
    await right.look();
    await right.total("150");
    await right.enter(5);
    await left.look();
    release();
    await left.get("overtaken").waitFor();
    await left.total("1,505");
    await left.pending(0);
    await holds(city, { events: 0, orders: 0 });
  },
  "development",
  simulated("seed=1"),
);

scenario(
  "a sale whose hold turns out to be none is entered anew, asked for again, and paid under a number of its own",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-h9");
    await till.enrolled();
    await givesHoldsOfNobody(phone);
    await ask(till, 150);
    const key = await till.card("attention");
    await phone.context.unroute("**/v1/authorizations");
    await till.get("anew").click();
    await till.total("150");
    await till.get("charge").click();
    assert.notEqual(await till.card("paid"), key);
    await till.sales("given-up", 1);
    await reaches(city, { events: 2, captures: 1 });
  },
  "development",
  simulated("seed=1"),
);
