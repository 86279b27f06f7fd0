import assert from "node:assert/strict";
import { test } from "node:test";
import { chartOf } from "./flow.ts";

const STEP_MS = 10_000;
/** A whole minute, so that the steps before it begin at 10, 20, 30, 40 and 50 seconds. */
const NOON = 1_795_435_200_000;

test("a step stands where it was counted, and the one under way is drawn by itself", () => {
  const chart = chartOf([0, 4, 2, 1], STEP_MS, NOON + 3_000);
  assert.equal(
    chart.over,
    "M0,100L25,100L25,0L50,0L50,50L75,50L75,50L75,100L75,100L50,100L50,100L25,100L25,100L0,100Z",
  );
  assert.equal(chart.underWay, "M75,75L100,75L100,75L100,100L100,100L75,100Z");
});

test("the latest is the last step that is over, the highest says when it began", () => {
  const chart = chartOf([0, 4, 2, 1], STEP_MS, NOON + 3_000);
  assert.equal(chart.latest, 2);
  assert.deepEqual(chart.highest, { count: 4, at: NOON - 2 * STEP_MS });
  assert.deepEqual(chartOf([1, 7], STEP_MS, NOON).highest, { count: 7, at: NOON }, "also one that is under way");
});

test("counts are whole and round, from nought to above the highest", () => {
  const countsOf = (...steps: number[]): number[] => chartOf(steps, STEP_MS, NOON).counts.map(({ count }) => count);
  assert.deepEqual(countsOf(0, 0), [0, 1], "also when nothing happened");
  assert.deepEqual(countsOf(0, 1), [0, 1]);
  assert.deepEqual(countsOf(3, 0), [0, 2, 4]);
  assert.deepEqual(countsOf(7), [0, 5, 10]);
  assert.deepEqual(countsOf(1_234), [0, 1_000, 2_000]);
  assert.deepEqual(chartOf([3], STEP_MS, NOON).counts[1], { count: 2, y: 50 });
});

test("times are whole minutes, at their place in the last ten", () => {
  const steps = Array.from({ length: 60 }, () => 0);
  const { times } = chartOf(steps, STEP_MS, NOON + 60_000 - 1);
  assert.deepEqual(
    times.map(({ at }) => (at - NOON) / 60_000),
    [-8, -6, -4, -2, 0],
  );
  assert.deepEqual(
    times.map(({ x }) => Math.round(x)),
    [10, 30, 50, 70, 90],
  );
});
