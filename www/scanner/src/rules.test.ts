import assert from "node:assert/strict";
import { test } from "node:test";
import { corrected, isOff, skewOf } from "./clock.ts";
import { newEventId } from "./event-id.ts";
import { foreignIn } from "./foreign.ts";
import { ageOf, type GateList, minutesSince } from "./list.ts";
import { checksOf, type Facts, mayOpen } from "./preflight.ts";
import { judge, type Known, type Shown } from "./rules.ts";

const list: GateList = {
  policy: "any",
  keys: [],
  revoked: ["aa"],
  bound: [{ digest: "bb", gates: ["back"] }],
  complete: true,
  listedAt: 0,
};
const known: Known = { list, digest: "cc", gate: "n1", now: 1_000, here: null, elsewhere: null };
const signed: Shown = { kind: "signed", ticket: "t-1", validFrom: 500, validUntil: 1_500 };
const plain: Shown = { kind: "plain", ticket: "T-1" };
const used = { place: "s1", at: 900 };

test("a good ticket is let in", () => {
  assert.deepEqual(judge(signed, known), { decision: "admitted" });
  assert.deepEqual(judge(plain, known), { decision: "admitted" });
});

test("validity comes before use: a ticket that was taken back is no duplicate", () => {
  const all = { ...known, digest: "aa", now: 9_999, here: used, elsewhere: used };
  assert.deepEqual(judge(signed, all), { decision: "refused", reason: "revoked" });
  assert.deepEqual(judge(signed, { ...known, now: 1_500, here: used }), { decision: "refused", reason: "expired" });
  assert.deepEqual(judge(signed, { ...known, now: 499, here: used }), { decision: "refused", reason: "not_yet_valid" });
  assert.deepEqual(judge(signed, { ...known, digest: "bb", here: used }), {
    decision: "refused",
    reason: "wrong_gate",
  });
  assert.deepEqual(judge(signed, { ...known, digest: "bb", gate: "back" }), { decision: "admitted" });
});

test("a used ticket is refused with the place and time, this gate's own before another's", () => {
  assert.deepEqual(judge(signed, { ...known, elsewhere: used }), {
    decision: "refused",
    reason: "duplicate",
    first: used,
  });
  const here = { place: "n1", at: 950 };
  assert.deepEqual(judge(plain, { ...known, here, elsewhere: used }), {
    decision: "refused",
    reason: "duplicate",
    first: here,
  });
});

test("a plain id is nobody's word: where only issued tickets count the gate alone lets nobody in with it", () => {
  assert.deepEqual(judge(plain, { ...known, list: { ...list, policy: "known" } }), { decision: "unsure" });
  assert.deepEqual(judge(plain, { ...known, list: null }), { decision: "unsure" });
  assert.deepEqual(judge(signed, { ...known, list: { ...list, policy: "known" } }), { decision: "admitted" });
});

test("what people hold before a camera by mistake is known for what it is", () => {
  for (const [text, what] of [
    ["4111111111111111", "card"],
    ["4111-1111-1111-1111", "card"],
    ["378282246310005", "card"],
    ["6222021234567894", "card"],
    ["order-5555555555554444", "card"],
    ["A123456789", "national-id"],
    ["a123456789", "national-id"],
    ["0912345678", "phone"],
    ["+886912345678", "phone"],
    ["someone@example.com", "email"],
    ["mailto:someone@example.com", "email"],
    ["https://example.com/t-1", "address"],
    ["www.example.com", "address"],
    ["4006381333931", "goods"],
    ["96385074", "goods"],
    ["WIFI:S:stall;T:WPA;P:secret;;", "text"],
    ["HC1:6BFOXN%TS3DH0YOJ58S S-W5HDC", "text"],
    ["BEGIN:VCARD", "text"],
    ["two words 1", "text"],
    ["票券1", "text"],
    ["nodigits", "text"],
    ["x1".repeat(21), "text"],
    ["", "text"],
  ] as const) {
    assert.equal(foreignIn(text), what, text);
  }
});

test("an old ticket's plain id is none of that", () => {
  for (const text of ["T-1", "t-208H44RM2MB1E60S", "NM2026-000123", "4111111111111112", "A123456780", "12345678"]) {
    assert.equal(foreignIn(text), null, text);
  }
});

const limits = { listOldMs: 100, listStaleMs: 1_000 };

test("a list grows old in steps and never stops a gate by its age", () => {
  const held = { list, tag: null, heardAt: 10_000 };
  assert.equal(ageOf(null, 10_000, limits), "none");
  assert.equal(ageOf(held, 10_100, limits), "fresh");
  assert.equal(ageOf(held, 10_101, limits), "old");
  assert.equal(ageOf(held, 11_001, limits), "stale");
  assert.equal(ageOf(held, 9_000, limits), "old", "the clock was set back, so nobody knows");
  assert.equal(minutesSince(0, 119_999), 1);
  assert.equal(minutesSince(60_000, 0), 0);
});

test("a clock is off only beyond what the answer leaves open", () => {
  const date = "Sat, 28 Nov 2026 12:00:30 GMT";
  const at = Date.parse("2026-11-28T12:00:00Z");
  const skew = skewOf(date, at, at + 200);
  assert.deepEqual(skew, { aheadMs: 30_400, doubtMs: 600 });
  assert.equal(isOff(skew, 30_000), false);
  assert.equal(isOff(skew, 29_000), true);
  assert.equal(corrected(at, skew, 29_000), at + 30_400);
  assert.equal(corrected(at, skew, 30_000), at);
  assert.equal(skewOf("yesterday", at, at), null);
  assert.equal(skewOf(date, at, at - 1), null, "the clock jumped while we asked");
});

const facts: Facts = {
  opening: "open",
  list: { age: "fresh", keys: 1, complete: true },
  persisted: true,
  camera: "on",
  sound: "on",
  heard: true,
  clock: { known: true, off: false },
  isUp: true,
  battery: null,
};
const grades = (more: Partial<Facts>): string[] =>
  checksOf({ ...facts, ...more })
    .filter(({ grade }) => grade !== "good")
    .map(({ grade, word }) => `${grade} ${word}`);

test("a gate opens when all is green, by a person's word with amber, and never with red", () => {
  assert.equal(mayOpen(checksOf(facts)), "ready");
  assert.equal(mayOpen(checksOf({ ...facts, isUp: false })), "anyway");
  assert.equal(mayOpen(checksOf({ ...facts, list: { ...facts.list, age: "none" } })), "not-yet");
});

test("every check has a word for what is wrong with it", () => {
  assert.deepEqual(grades({ list: { age: "none", keys: 0, complete: true } }), ["bad list-none"]);
  assert.deepEqual(grades({ list: { age: "old", keys: 1, complete: true } }), ["warn list-old"]);
  assert.deepEqual(grades({ list: { age: "stale", keys: 1, complete: true } }), ["warn list-stale"]);
  assert.deepEqual(grades({ list: { age: "fresh", keys: 1, complete: false } }), ["warn list-cut"]);
  assert.deepEqual(grades({ opening: "failed" }), ["bad storage-failed"]);
  assert.deepEqual(grades({ persisted: null }), ["warn storage-lent"]);
  assert.deepEqual(grades({ camera: "denied" }), ["warn camera-denied"]);
  assert.deepEqual(grades({ heard: false }), ["warn sound-untried"]);
  assert.deepEqual(grades({ sound: "none" }), ["warn sound-none"]);
  assert.deepEqual(grades({ clock: { known: true, off: true } }), ["warn clock-off"]);
  assert.deepEqual(grades({ clock: { known: false, off: false } }), ["warn clock-unknown"]);
});

test("a low battery keeps no gate closed, and one that nobody tells of is not among the checks", () => {
  const row = (battery: Facts["battery"]): string | undefined => {
    const found = checksOf({ ...facts, battery }).find(({ name }) => name === "battery");
    return found && `${found.grade} ${found.word}`;
  };
  assert.equal(row(null), undefined);
  assert.equal(row({ charge: "good", charging: false }), "good battery-good");
  assert.equal(row({ charge: "good", charging: true }), "good battery-charging");
  assert.equal(row({ charge: "low", charging: false }), "warn battery-low");
  assert.equal(row({ charge: "empty", charging: false }), "warn battery-empty");
  assert.equal(mayOpen(checksOf({ ...facts, battery: { charge: "good", charging: false } })), "ready");
  assert.equal(mayOpen(checksOf({ ...facts, battery: { charge: "empty", charging: false } })), "anyway");
});

test("an id that is drawn before its event is a UUID of version 7", () => {
  const id = newEventId(0x0198_c0de_7a31);
  assert.match(id, /^0198c0de-7a31-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(newEventId(1), newEventId(1));
});
