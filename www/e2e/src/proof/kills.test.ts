// Three kills of one profile, so that the program for hundreds is known to work. `cargo xtask proof kills` has the rest.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Context, type Found, kill } from "./kills.js";
import { folder } from "./results.js";

const PATIENCE_MS = 180_000;

test("what a killed browser had called safe is there, once, and so with the city", {
  timeout: PATIENCE_MS,
}, async () => {
  const found = await kill({
    engine: "chromium",
    context: "window",
    kills: 3,
    killsAProfile: 3,
    seed: 1,
    killAfterMs: [1, 1_000],
    say: () => undefined,
  });
  assert.equal(found.broken, null);
  assert.deepEqual([found.kills, found.cityKills, found.lost, found.doubled, found.thrownAway], [3, 1, 0, 0, 0]);
  assert.ok(found.acknowledged > 0 && found.stored === found.events && found.events === found.captures);
});

/** Chromium writes its `localStorage` seconds after it was told to; a kill before that takes the canary as well. */
const CANARY_WRITTEN_MS = [7_000, 7_001] as const;

/** Takes the databases away between two kills, as a browser does that finds them damaged. */
async function bereft(context: Context): Promise<Found> {
  const found = await kill({
    engine: "chromium",
    context,
    kills: 2,
    killsAProfile: 2,
    seed: 2,
    killAfterMs: CANARY_WRITTEN_MS,
    say: () => undefined,
    after: (databases, kills) => (kills === 1 ? rm(databases, { recursive: true }) : Promise.resolve()),
  });
  // The evidence of a loss that was meant.
  await rm(join(folder, `evidence-chromium-${context}-2-1`), { recursive: true });
  return found;
}

test("a database that the browser threw away is counted apart when the outbox raises the alarm", {
  timeout: PATIENCE_MS,
}, async () => {
  const found = await bereft("window");
  assert.deepEqual([found.broken, found.kills, found.thrownAway, found.lost, found.doubled], [null, 2, 1, 0, 0]);
});

test("a database that is gone without an alarm is a broken promise: a service worker hears none", {
  timeout: PATIENCE_MS,
}, async () => {
  const found = await bereft("service-worker");
  assert.match(found.broken ?? "", /lost [1-9]/);
  assert.ok(found.lost > 0 && found.thrownAway === 0);
});
