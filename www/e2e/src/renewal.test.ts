import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Till } from "./screens.js";
import { scenario } from "./world.js";

async function keptVersions(till: Till): Promise<string[]> {
  return till.page.evaluate(() => caches.keys());
}

scenario(
  "a new version waits while a sale is open or anything is unsent, and comes when a person takes it",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-r1");
    await till.enrolled();
    await till.shellKept();
    // The first worker must be in charge, or nothing would be replaced.
    await till.page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    await till.enter(45);
    await city.publish("pos");
    await till.bringNewVersion();
    const offer = till.get("new-version");
    assert.equal(await offer.count(), 0, "not in the middle of a sale");
    assert.match((await till.get("amount").textContent()) ?? "", /45/);

    await city.weather("stall-r1", { mode: "drop-request" });
    await till.get("charge").click();
    await till.card("saved|unknown");
    await till.next();
    await till.pending(1);
    assert.equal(await offer.count(), 0, "not while something is unsent");
    assert.equal((await keptVersions(till)).length, 2, "the new version lies ready beside the old one");

    await city.weather("stall-r1", { mode: "clear" });
    await offer.waitFor();
    await till.sales("paid", 1);
    await till.takeNewVersion();
    await till.sales("paid", 1);
    assert.equal(await offer.count(), 0);
    assert.deepEqual(await keptVersions(till), ["conch-pos-ffffffffffffffff"]);
  },
);

scenario(
  "a tap meant for sending does not take a new version that appears under the finger",
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-r3");
    await till.enrolled();
    await till.shellKept();
    await city.weather("stall-r3", { mode: "drop-request" });
    await till.enter(45);
    await till.get("charge").click();
    await till.card("saved|unknown");
    await till.next();
    await city.publish("pos");
    await till.bringNewVersion();
    // The finger comes down in the moment in which the buttons change.
    const told = till.page.evaluate(
      () =>
        new Promise<number>((counted) => {
          let told = 0;
          const tell = ServiceWorker.prototype.postMessage;
          ServiceWorker.prototype.postMessage = function (this: ServiceWorker, message: unknown) {
            told += 1;
            tell.call(this, message);
          };
          new MutationObserver((_, observer) => {
            const offer = document.querySelector<HTMLElement>("[data-testid=new-version]");
            if (offer === null) return;
            observer.disconnect();
            offer.click();
            counted(told);
          }).observe(document, { childList: true, subtree: true });
        }),
    );
    await city.weather("stall-r3", { mode: "clear" });
    assert.equal(await told, 0, "the worker was told to take over");
    await till.takeNewVersion();
  },
);

scenario("a portal's page in place of a file does not get into the cold-start cache", async ({ city, phone }) => {
  const icon = "pos/icon.svg";
  const genuine = await readFile(join(city.pages, icon), "utf8");
  await city.replace(icon, "<html>please sign in</html>");
  const till = await Till.open(phone, city, "stall-r2");
  const ending = await till.page.evaluate(async () => {
    const registration = await navigator.serviceWorker.register("worker.js");
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    while (worker && worker.state !== "redundant" && worker.state !== "activated") {
      await new Promise((changed) => worker.addEventListener("statechange", changed, { once: true }));
    }
    return worker?.state;
  });
  assert.equal(ending, "redundant", "a worker with a foreign file is not installed");
  await city.replace(icon, genuine);
  await till.page.reload();
  await till.shellKept();
  await phone.context.setOffline(true);
  await till.page.reload();
  await till.ready();
});
