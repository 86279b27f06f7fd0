import assert from "node:assert/strict";
import { test } from "node:test";
import { ageOf, areasOf, clearedLater, devicesOf, inOrder, standingOf, toneOfCircuit } from "./judge.ts";
import type { Alert, Circuit, Device } from "./shapes.ts";

const NOW = 1_795_435_200_000;

function device(name: string, heardAgoMs: number, more: Partial<Device> = {}): Device {
  return {
    device: name,
    role: "gate",
    heardAt: NOW - heardAgoMs,
    owed: 0,
    saidAt: NOW - heardAgoMs,
    lastSequence: 1,
    missing: 0,
    gaps: [],
    clone: null,
    ...more,
  };
}

test("a device is called heard only while it was heard lately, whatever it owes", () => {
  const standing = (ageMs: number, owed: number | null): string => standingOf(device("g", ageMs, { owed }), NOW);
  assert.equal(standing(0, 5), "heard");
  assert.equal(standing(59_999, 0), "heard");
  assert.equal(standing(60_000, 0), "quiet");
  assert.equal(standing(60_000, null), "quiet", "it never said what it owes");
  assert.equal(standing(60_000, 1), "owes-and-quiet");
  assert.equal(standing(600_000, 0), "silent");
  assert.equal(standing(900_000, 3), "owes-and-quiet");
});

test("a gap alarms however lately its device was heard, and a clone more than that", () => {
  assert.equal(standingOf(device("g", 0, { missing: 1 }), NOW), "gap");
  assert.equal(standingOf(device("g", 0, { missing: 1, clone: "two_lives" }), NOW), "cloned");
});

test("what is wrong stands first, then whoever was heard last", () => {
  const all = [
    device("b", 1_000),
    device("old", 700_000),
    device("a", 1_000),
    device("owes", 70_000, { owed: 2 }),
    device("gap", 5_000, { missing: 1 }),
  ];
  assert.deepEqual(
    inOrder(all, NOW).map((own) => own.device),
    ["gap", "owes", "a", "b", "old"],
  );
});

test("a raised alert is over when a later one of its name and key cleared it", () => {
  const alert = (id: string, kind: Alert["kind"], key: string): Alert => ({
    id,
    kind,
    key,
    at: NOW,
    data: { alert: "sequence_gap" },
  });
  const newestFirst = [
    alert("5", "raised", "device-a"),
    alert("4", "cleared", "device-a"),
    alert("3", "raised", "device-b"),
    alert("2", "raised", "device-a"),
  ];
  assert.deepEqual([...clearedLater(newestFirst)], ["2"]);
});

test("an area is made of devices that differ only in their number, and a lever over it reaches just them", () => {
  const all = ["gate-n1", "gate-n2", "gate-s1", "gate-nx", "stall-7", "stall-12", "7"].map((name) => device(name, 0));
  all.push({ ...device("ops-1", 0), role: "ops" }, { ...device("ops-2", 0), role: "ops" });
  assert.deepEqual(areasOf(all), ["gate-n", "stall-"]);
  assert.deepEqual(devicesOf("gate-n*", all), ["gate-n1", "gate-n2"]);
  assert.deepEqual(devicesOf("gate-s1", all), ["gate-s1"]);
  assert.deepEqual(devicesOf("*", all), ["*"]);
});

test("an age is never said to be younger than it is by more than its unit", () => {
  assert.deepEqual(ageOf(-5), { unit: "s", count: 0 });
  assert.deepEqual(ageOf(119_999), { unit: "s", count: 119 });
  assert.deepEqual(ageOf(120_000), { unit: "min", count: 2 });
  assert.deepEqual(ageOf(7_200_000), { unit: "h", count: 2 });
  assert.deepEqual(ageOf(172_800_000), { unit: "d", count: 2 });
});

test("a circuit alarms above its limit, warns where it sheds, and waits while a stall is off", () => {
  const circuit = (carriedWatts: number, shed: boolean): Circuit => ({
    circuit: "c4",
    limitWatts: 1_000,
    shedAboveWatts: 900,
    carriedWatts,
    total: 1,
    stalls: [{ stall: "stall-1", drawnWatts: 0, at: NOW, importance: 1, shedAt: shed ? NOW : null }],
  });
  assert.equal(toneOfCircuit(circuit(1_001, false)), "stop");
  assert.equal(toneOfCircuit(circuit(901, true)), "warn");
  assert.equal(toneOfCircuit(circuit(900, true)), "wait");
  assert.equal(toneOfCircuit(circuit(900, false)), "good");
});
