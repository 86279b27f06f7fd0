// The market over TLS, as a phone meets it on the local network: it trusts the city's own authority and nothing else.
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { get } from "node:https";
import { buffer } from "node:stream/consumers";
import { Gate, Till } from "./screens.js";
import { prepared, reaches } from "./world.js";

prepared(
  "over TLS a sale and an admission arrive, and the pages start without a network",
  async (city) => {
    const [asked] = await once(get(`${city.origin}/v1/dev/certificate`, { rejectUnauthorized: false }), "response");
    const authority = new X509Certificate(await buffer(asked));
    // The pin stands for the authority that a person installs on the phone.
    const key = authority.publicKey.export({ type: "spki", format: "der" });
    const pin = createHash("sha256").update(key).digest("base64");
    return { flags: [`--ignore-certificate-errors-spki-list=${pin}`], made: null };
  },
  async ({ city, phone }) => {
    const till = await Till.open(phone, city, "stall-t1");
    assert.match(till.page.url(), /^https:/);
    await till.enrolled();
    await till.sell(45, "paid");
    await till.next();
    await till.shellKept();
    await phone.context.setOffline(true);
    await till.page.reload();
    await till.ready();
    await till.sell(60, "saved");
    await phone.context.setOffline(false);
    await till.sales("paid", 2);

    const gate = await Gate.open(phone, city, "gate-t1");
    await gate.look();
    await gate.scan("ticket-2041", "admitted");
    await gate.pending(0);
    await reaches(city, { captures: 2, admissions: 1 });
  },
  "development",
  ["--tls-self-made", "127.0.0.1"],
);
