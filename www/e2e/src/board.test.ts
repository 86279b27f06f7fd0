import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Bare, Board } from "./board.js";
import { Gate } from "./screens.js";
import { holds, scenario } from "./world.js";

/** From the city's verdict to the screen, with a busy machine's slack. */
const LIVE_MS = 2_000;

scenario("the board shows an event within two seconds, and who said it when", async ({ city, phone }) => {
  const board = await Board.open(phone, city);
  const gate = await Bare.enrol(city, "gate-n1", "gate");
  await board.count("fact-accepted", 0);
  await board.inspect("quiet");
  await gate.scan("T-1", "N1");
  await board.count("fact-accepted", 1, LIVE_MS);
  await board.standing("gate-n1", "heard");
  const flow = board.page.locator("[data-testid=topic][data-topic='gate.auth.v2']");
  await flow.getByRole("img", { name: /最多 [1-9]\d* 件（\d\d:\d\d:\d\d）/ }).waitFor();
  assert.match((await board.device("gate-n1").textContent()) ?? "", /沒說過還有幾筆沒送.*最後序號 1/);
  await gate.say("gate.auth.v2.scanned", "T-2", { gateId: "N1", ticketId: "T-2" }, 2, "2-4");
  await board.device("gate-n1").locator("[data-owed='2']").waitFor({ timeout: LIVE_MS });
});

scenario("a gap in a device's sequence alarms until what was missing comes", async ({ city, phone }) => {
  const board = await Board.open(phone, city);
  const till = await Bare.enrol(city, "stall-7", "vendor");
  const sale = (sequence: number, owed: string): Promise<void> =>
    till.say("pay.txn.v2.requested", `o-${sequence}`, { amount: 100, currency: "TWD", method: "cash" }, sequence, owed);
  await sale(1, "1-1");
  await board.standing("stall-7", "heard");
  await sale(5, "5-5");
  await board.standing("stall-7", "gap");
  await board.count("matter-missing", 3);
  await board.alert("sequence_gap", "raised");
  await board.inspect("gap");
  for (const sequence of [2, 3, 4]) await sale(sequence, "6-5");
  await board.alert("sequence_gap", "cleared");
  await board.count("matter-missing", 0);
  await board.standing("stall-7", "heard");

  await sale(8, "8-8");
  await board.standing("stall-7", "gap");
  await board.decide("write-off", "the phone fell into the harbour");
  await board.count("matter-missing", 0);
  await board.standing("stall-7", "heard");
});

scenario("a dead letter is sent again and another one given up, each with its reason", async ({ city, phone }) => {
  const board = await Board.open(phone, city);
  const [unit, gate] = [await Bare.enrol(city, "ops-unit", "ops"), await Bare.enrol(city, "gate-n1", "gate")];
  await unit.say("civic.events.v1.resolved", "case-1", {});
  await board.count("matter-deadLetters", 1);
  await board.alert("dead_letter", "raised");
  await gate.say("civic.events.v1.reported", "case-1", { kind: "noise", place: "N3" });
  await board.page.locator("[data-testid=unit][data-unit=patrol]").waitFor();
  await board.decide("redrive", "the case is known now");
  await board.count("matter-deadLetters", 0);
  await board.page.locator("[data-testid=unit]").waitFor({ state: "detached" });

  await unit.say("civic.events.v1.resolved", "case-2", {});
  await board.count("matter-deadLetters", 1);
  await board.decide("discard", "nobody reported it");
  await board.count("matter-deadLetters", 0);
});

scenario("two gates that let in with one ticket stand on the board with both", async ({ city, phone }) => {
  const board = await Board.open(phone, city);
  const [north, south] = [await Bare.enrol(city, "gate-n1", "gate"), await Bare.enrol(city, "gate-s1", "gate")];
  await north.scan("T-1", "N1");
  await south.scan("T-1", "S1");
  await board.page.locator("[data-testid=double][data-gates='N1 S1']").waitFor();
  await board.count("matter-doubles", 1);
  await board.alert("double_admission", "raised");
  assert.doesNotMatch((await board.page.locator("body").textContent()) ?? "", /T-1/);
});

/** The city asks the bank again with waits of its own, and so a while after a person's word too. */
const SAGA_MS = 120_000;

scenario(
  "money taken twice is given back, is stuck when the bank refuses, and goes on after a person's word",
  async ({ city, phone }) => {
    const board = await Board.open(phone, city);
    const till = await Bare.enrol(city, "stall-7", "vendor");
    await board.get("faults-double").click();
    await board.page.locator("[data-testid=faults][data-faults='double=1']").waitFor();
    const pay = async (order: string): Promise<void> => {
      const authRef = await till.hold(order, 5_000);
      const data = { amount: 5_000, currency: "TWD", method: "authorized_online", authRef };
      await till.say("pay.txn.v2.requested", order, data);
    };
    await pay("order-TN4K7QHB");
    await board.count("saga-refunded", 1);
    await board.get("saga-refunded").click();
    await board.page.locator("[data-testid=saga-row][data-order=order-TN4K7QHB]").waitFor();
    await board.find("ZZZZ");
    assert.match((await board.get("order-answer").textContent()) ?? "", /沒有以 ZZZZ 結尾/);
    await board.find("… tn4k7qhb");
    const found = board.page.locator("[data-testid=order][data-key=order-TN4K7QHB][data-state=captured]");
    await found.locator("[data-testid=order-refund][data-state=refunded]").waitFor();

    await board.get("faults-refuse-refund").click();
    await board.page.locator("[data-testid=faults][data-faults='refuse-refund=1,double=1']").waitFor();
    await pay("o-2");
    await board.count("saga-stuck", 1, SAGA_MS);
    await board.alert("refund_stuck", "raised");
    await board.count("matter-stuck", 1);
    await board.get("saga-stuck").click();
    await board.inspect("stuck");
    await board.get("faults-").click();
    await board.page.locator("[data-testid=faults][data-faults='']").waitFor();
    await board.decide("retry", "the bank takes it again");
    await board.count("saga-refunded", 2, SAGA_MS);
    await board.count("saga-stuck", 0);
    await board.count("holds-doubled", 0);
  },
  "development",
  ["--acquirer-simulated", "--settle-every-s", "1"],
);

const plan = join(mkdtempSync(join(tmpdir(), "conch-plan-")), "circuits.json");
writeFileSync(plan, JSON.stringify([{ circuit: "c4", limitWatts: 3_000, stalls: { "stall-7": 1, "stall-8": 5 } }]));

scenario(
  "an overloaded circuit is told with its load, its limit and who is to switch off",
  async ({ city, phone }) => {
    const board = await Board.open(phone, city);
    await board.get("power-stall").fill("stall-7");
    await board.get("power-watts").fill("900");
    await board.get("power-report").click();
    await board.page
      .locator("[data-testid=circuit][data-circuit=c4][data-tone=good]")
      .getByText("900 / 3,000 W")
      .waitFor();
    await board.get("power-stall").fill("stall-8");
    await board.get("power-overload").click();
    await board.page.locator("[data-testid=stall][data-shed=true]").getByText("stall-8").waitFor();
    await board.count("matter-shed", 1);
    await board.page.locator("[data-testid=circuit][data-tone=wait]").waitFor();
    await board.inspect("circuit");
  },
  "development",
  ["--circuits", plan],
);

scenario(
  "with the 4G of a gate pulled its scans wait there, and are delivered when it is put back",
  async ({ city, phone }) => {
    const gate = await Gate.open(phone, city, "gate-n1");
    await gate.enrolled();
    const board = await Board.open(phone, city);
    const other = await Bare.enrol(city, "gate-n2", "gate");
    await other.scan("T-60", "N2");
    await board.device("gate-n2").waitFor();
    await board.weather("gate-n*", "drop-request");
    await board.count("skies", 2);
    await assert.rejects(other.scan("T-60", "N2"), "its neighbour in the area is cut off as well");

    await gate.look();
    await gate.scan("T-61", "saved");
    await gate.scan("T-62", "saved");
    await gate.link("down");
    await gate.pending(2);
    await board.page.bringToFront();
    await board.count("holds-delivered", 1);

    await board.weather("gate-n*", "clear");
    await board.count("skies", 0);
    await gate.look();
    await gate.sendNow();
    await gate.pending(0);
    await board.page.bringToFront();
    await board.count("holds-delivered", 3);
    await board.count("holds-lost", 0);
    await board.count("holds-doubled", 0);
    await board.device("gate-n1").locator("[data-owed='0']").waitFor();
    await holds(city, { events: 3, admissions: 3 });
  },
);

scenario("lost answers make a gate send again, and nothing is done twice", async ({ city, phone }) => {
  const gate = await Gate.open(phone, city, "gate-n1");
  await gate.enrolled();
  const board = await Board.open(phone, city);
  await board.weather("*", "drop-answer");
  await board.inspect("desk in bad weather");
  await gate.look();
  await gate.scan("T-71", "saved");
  await board.page.bringToFront();
  await board.count("holds-delivered", 1);
  await board.weather("*", "clear");
  await gate.look();
  await gate.sendNow();
  await gate.result("T-71", "admitted");
  await gate.pending(0);
  await board.page.bringToFront();
  await board.page.locator("[data-testid=holds-repeated]:not([data-count='0'])").waitFor();
  for (const nought of ["holds-doubled", "holds-lost", "matter-doubles"]) await board.count(nought, 0);
  await holds(city, { events: 1, admissions: 1, scans: 1 });
});

scenario("a board that hears nothing says so, how old it is, and shows nothing green", async ({ city, phone }) => {
  const gate = await Bare.enrol(city, "gate-n1", "gate");
  await gate.scan("T-1", "N1");
  const board = await Board.open(phone, city);
  await board.standing("gate-n1", "heard");
  await city.kill();
  await board.page.locator("[data-testid=board-link][data-stale=true]").waitFor();
  assert.match((await board.get("board-link").textContent()) ?? "", /聽不到市場。以下是 ?\d+ 秒前的樣子/);
  const green = await board.page.evaluate(() => {
    const good = getComputedStyle(document.documentElement).getPropertyValue("--ink-good").trim();
    const probe = document.body.appendChild(document.createElement("i"));
    probe.setAttribute("class", "ink-good");
    const colour = getComputedStyle(probe).color;
    probe.remove();
    const shown = [...document.querySelectorAll("main *")].filter((one) => getComputedStyle(one).color === colour);
    return { good, count: shown.length };
  });
  assert.notEqual(green.good, "");
  assert.equal(green.count, 0);
  assert.doesNotMatch((await board.device("gate-n1").textContent()) ?? "", /口 剛聽到/, "not now");
  await board.inspect("stale");
  await city.run();
  await board.page.locator("[data-testid=board-link][data-stale=false]").waitFor();
});

scenario("the board speaks both languages", async ({ city, phone }) => {
  const board = await Board.open(phone, city);
  const gate = await Bare.enrol(city, "gate-n1", "gate");
  await gate.scan("T-1", "N1");
  await board.standing("gate-n1", "heard");
  await board.weather("gate-n1", "delay");
  assert.equal(await board.page.title(), "市場看板");
  await board.get("language").click();
  await board.page.locator("html[lang=en]").waitFor();
  assert.equal(await board.page.title(), "Market board");
  assert.match((await board.device("gate-n1").textContent()) ?? "", /Last heard \d+ s ago/);
  await board.page.getByText("Now: gate-n1: Delay 3 s").waitFor();
  const chinese = /[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]/;
  const left = chinese.exec((await board.page.locator("main").textContent()) ?? "")?.[0];
  assert.equal(left, undefined, "nothing Chinese is left");
});

scenario(
  "in the evening the board enrols with a one-time code and has no desk",
  async ({ city, phone }) => {
    const board = await Board.open(phone, city, `#enrol=${await city.code("ops-b1", "ops")}`);
    await board.count("fact-accepted", 0);
    assert.doesNotMatch(board.page.url(), /enrol/);
    assert.equal(await board.get("panel-desk").count(), 0);
    await board.page.reload();
    await board.page.locator("main[data-board=shown]").waitFor();
  },
  "evening",
);

scenario("a full board with a question open is fit to be looked at", async ({ city, phone }) => {
  const board = await Board.open(phone, city);
  const [unit, gate] = [await Bare.enrol(city, "ops-unit", "ops"), await Bare.enrol(city, "gate-n1", "gate")];
  for (const number of Array.from({ length: 10 }, (_, place) => place + 1)) {
    await unit.say("civic.events.v1.resolved", `a-case-with-quite-a-long-name-${number}`, {});
    await gate.say("civic.events.v1.reported", `case-${number}`, { kind: "noise", place: `N${number}` });
    await gate.scan(`T-${number}`, "N1");
  }
  await board.count("matter-deadLetters", 10);
  await board.page.locator("[data-testid=unit][data-unit=patrol]").getByText("10").waitFor();
  await board.get("discard").first().click();
  await board.inspect("full with a question");
});
