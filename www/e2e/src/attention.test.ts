import { Till } from "./screens.js";
import { holds, scenario, type World } from "./world.js";

/** Makes the till carry a token that somebody got for another role. */
async function carry(till: Till, device: string, token: string): Promise<void> {
  await till.page.evaluate(([name, value]) => localStorage.setItem(String(name), String(value)), [
    `conch.token.${device}`,
    token,
  ] as const);
  await till.page.reload();
  await till.ready();
}

/** A till that somebody enrolled as a gate: the city refuses its sales, definitely. */
async function refusedSale({ city, phone }: World, device: string): Promise<Till> {
  const till = await Till.open(phone, city, device);
  await carry(till, device, await city.enrol(device, "gate"));
  await till.sell(120, "attention");
  await till.attention(1);
  await till.pending(0);
  return till;
}

async function openSheet(till: Till, attempt: number): Promise<void> {
  await till.get("attention").click();
  await till.page.locator(`[data-testid=dead-letter][data-reason=refused][data-attempt="${attempt}"]`).waitFor();
}

scenario("a refused sale needs attention, is explained, and a person can give it up", async (world) => {
  const till = await refusedSale(world, "stall-a1");
  await openSheet(till, 1);
  await till.get("discard").click();
  await till.get("discard-back").click();
  await till.get("discard").click();
  await till.get("discard-mistake").click();
  await till.get("dead-empty").waitFor();
  await till.get("attention-close").click();
  await till.attention(0);
  await till.sales("given-up", 1);
  await holds(world.city, { orders: 0, captures: 0 });

  await till.page.reload();
  await till.sales("given-up", 1);
  await till.attention(0);
});

scenario(
  "a refused sale sent again is a new attempt: refused while the reason stands, paid once it is gone",
  async (world) => {
    const till = await refusedSale(world, "stall-a2");
    await openSheet(till, 1);
    await till.get("redrive").click();
    await till.page.locator("[data-testid=dead-letter][data-attempt='2']").waitFor();
    await holds(world.city, { orders: 0, captures: 0 });

    await carry(till, "stall-a2", await world.city.enrol("stall-a2", "vendor"));
    await openSheet(till, 2);
    await till.get("redrive").click();
    await till.get("dead-empty").waitFor();
    await till.get("attention-close").click();
    await till.sales("paid", 1);
    await holds(world.city, { orders: 1, captures: 1 });
  },
);

scenario("one refused sale holds up no other", async (world) => {
  const till = await refusedSale(world, "stall-a3");
  await till.next();
  await till.sell(60, "attention");
  await till.attention(2);
  await till.pending(0);
});
