import assert from "node:assert/strict";
import { test } from "node:test";
import { batteryOf, chargeOf, spares } from "./battery.ts";
import { gateLimits } from "./limits.ts";

const chargeAt = (percent: number, charging = false): string => chargeOf({ percent, charging }, gateLimits);

test("a battery warns from 20 percent, is urgent from 10, and plugged in it is neither", () => {
  assert.deepEqual(
    [100, 21, 20, 11, 10, 0].map((percent) => chargeAt(percent)),
    ["good", "good", "low", "low", "empty", "empty"],
  );
  assert.deepEqual(
    [20, 10, 0].map((percent) => chargeAt(percent, true)),
    ["good", "good", "good"],
  );
});

test("a level is shown as the whole percent it stands for", () => {
  assert.deepEqual(batteryOf({ level: 0.29, charging: false }), { percent: 29, charging: false });
  assert.deepEqual(batteryOf({ level: 1, charging: false }), { percent: 100, charging: false });
  assert.deepEqual(batteryOf({ level: 0, charging: true }), { percent: 0, charging: true });
});

test("what a browser also says without a battery, or what is no level, is not shown", () => {
  assert.equal(batteryOf({ level: 1, charging: true }), null);
  for (const level of [Number.NaN, -0.1, 1.5]) assert.equal(batteryOf({ level, charging: false }), null);
});

test("a gate spares from the notice of a cut until power is back, and on an empty battery", () => {
  const at = 0;
  assert.equal(spares({ state: "shed", at }, null), true);
  assert.equal(spares({ state: "shed", at }, "good"), true);
  assert.equal(spares({ state: "restored", at }, "good"), false);
  assert.equal(spares(null, "empty"), true);
  assert.equal(spares(null, "low"), false);
  assert.equal(spares(null, null), false);
});
