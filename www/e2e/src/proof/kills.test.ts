// Three kills of one profile, so that the program for hundreds is known to work. `cargo xtask proof kills` has the rest.
import assert from "node:assert/strict";
import { test } from "node:test";
import { kill } from "./kills.js";

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
    say: () => undefined,
  });
  assert.deepEqual([found.kills, found.cityKills], [3, 1]);
  assert.ok(found.acknowledged > 0 && found.stored === found.events && found.events === found.captures);
});
