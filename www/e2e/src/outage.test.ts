import { Gate, STORED, Till } from "./screens.js";
import { holds, reaches, scenario } from "./world.js";

const SALES = 20;
const SCANS = 20;

scenario(
  "twenty sales and twenty scans made offline survive a cold reload and arrive exactly once",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-e1");
    const gate = await Gate.open(phone, city, "gate-e1");
    for (const screen of [till, gate]) {
      await screen.enrolled();
      await screen.shellKept();
    }
    await phone.context.setOffline(true);

    await till.look();
    for (let sale = 1; sale <= SALES; sale += 1) {
      await till.sell(10 + sale, "saved");
      await till.next();
    }
    await gate.look();
    for (let scan = 1; scan <= SCANS; scan += 1) await gate.scan(`T-${scan}`, "saved");
    await till.pending(SALES);
    await gate.pending(SCANS);

    await till.page.reload();
    await gate.page.reload();
    await till.pending(SALES);
    await gate.pending(SCANS);
    await till.sales("saved", SALES);
    await gate.scans("saved", SCANS);
    await holds(city, { events: 0 });

    await phone.context.setOffline(false);
    await gate.sendNow();
    await gate.pending(0);
    await gate.scans("admitted", SCANS);
    await till.look();
    await till.sendNow();
    await till.pending(0);
    await till.sales("paid", SALES);
    await holds(city, {
      events: SALES + SCANS,
      orders: SALES,
      captures: SALES,
      tickets: SCANS,
      admissions: SCANS,
      scans: SCANS,
    });
  },
);

scenario(
  "a device that was never enrolled stores what it is told and sends it once a city answers",
  async ({ city, phone }) => {
    await phone.context.route("**/v1/**", (route) => route.abort());
    const till = await Till.open(phone, city, "stall-e2");
    await till.page.locator("[data-testid=enrolment][data-step=offline]").waitFor();
    await till.sell(120, "saved");
    await till.pending(1);
    await till.page.locator("[data-testid=outlook][data-why=held]").waitFor();
    await till.sales("saved", 1);
    await holds(city, { events: 0 });

    await phone.context.unroute("**/v1/**");
    await till.sendNow();
    await till.card("paid");
    await till.enrolled();
    await holds(city, { events: 1, captures: 1 });
  },
);

scenario("a city that is killed and comes back gets every sale once", async ({ city, phone }) => {
  const till = await Till.open(phone, city, "stall-e3");
  await till.sell(50, "paid");
  await till.next();
  await city.kill();
  await till.sell(60, STORED);
  await till.next();
  await till.sell(70, STORED);
  await till.next();
  await city.run();
  await till.sendNow();
  await till.sales("paid", 3);
  await reaches(city, { events: 3, captures: 3 });
});
