// The CloudEvents SDK of npm as a client of the city, and events as strangers may send them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { CloudEvent, HTTP } from "cloudevents";
import { ask, BATCH, enrol, note, send, word } from "./city.js";

const DEVICE = "node-1";
let token;
before(async () => {
  token = await enrol(DEVICE, "vendor");
});

test("an event of the SDK in structured mode is accepted, and once", async () => {
  const event = new CloudEvent({ ...note(DEVICE), id: randomUUID(), exampleextension: "kept" });
  const { headers, body } = HTTP.structured(event);
  const first = await send(token, event.id, body, headers);
  assert.deepEqual([first.status, word(first)], [202, "accepted"]);
  assert.equal(first.headers.get("idempotency-replayed"), null);
  const again = await send(token, event.id, body, headers);
  assert.deepEqual([again.status, again.body], [202, first.body]);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
});

test("a batch of the SDK's events is judged one by one", async () => {
  const events = [
    new CloudEvent(note(DEVICE)),
    new CloudEvent(note(DEVICE, { type: "pay.txn.v2.requested", data: {} })),
  ];
  const body = JSON.stringify(events);
  const answer = await ask("POST", "/v1/events", { token, headers: { "content-type": BATCH }, body });
  assert.equal(answer.status, 200);
  assert.deepEqual(
    answer.body.verdicts.map(({ id, verdict }) => [id, verdict]),
    [
      [events[0].id, "accepted"],
      [events[1].id, "refused"],
    ],
  );
});

test("binary mode is refused with what to send instead", async () => {
  const event = new CloudEvent(note(DEVICE));
  const { headers, body } = HTTP.binary(event);
  const answer = await send(token, event.id, body, headers);
  assert.deepEqual([answer.status, word(answer)], [415, "media-type"]);
  assert.match(answer.body.detail, /application\/cloudevents\+json/);
});

test("what the city says is CloudEvents to the SDK", async () => {
  const report = note(DEVICE, {
    type: "civic.events.v1.reported",
    partitionkey: `case-${randomUUID()}`,
    data: { kind: "noise", place: "gate n1" },
  });
  assert.equal(word(await send(token, report.id, JSON.stringify(report))), "accepted");
  const heard = await ask("GET", "/v1/feed?wait=10", { token });
  const events = HTTP.toEvent({ headers: { "content-type": BATCH }, body: JSON.stringify(heard.body.events) });
  assert.ok(events.length > 0);
  for (const event of events) assert.ok(event.validate(), event.id);
});

const { cases } = JSON.parse(readFileSync(new URL("events.json", import.meta.url), "utf8"));
for (const { name, set = {}, without = [], text, want } of cases) {
  test(name, async () => {
    const event = note(DEVICE, set);
    for (const member of without) delete event[member];
    const body = text ?? JSON.stringify(event).replace("{date}", new Date().toISOString().slice(0, 10));
    const key = typeof event.id === "string" && event.id.length === 36 ? event.id : randomUUID();
    assert.equal(word(await send(token, key, body)), want);
    if (text !== undefined || want === "idempotency-key-mismatch") return;
    // In a batch the others are taken, unless no verdict could name this one.
    const good = note(DEVICE);
    const batch = `[${body},${JSON.stringify(good)}]`;
    const answer = await ask("POST", "/v1/events", { token, headers: { "content-type": BATCH }, body: batch });
    if (answer.status === 200) assert.equal(answer.body.verdicts[1].verdict, "accepted");
    else assert.deepEqual([answer.status, word(answer)], [400, "unreadable-event"]);
  });
}
