// One torn log. `cargo xtask proof torn` has all kinds of them, and the same without a new log, which loses events.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isHealed, tear } from "./torn.js";

const PATIENCE_MS = 120_000;

test("a log that a kill left torn costs nothing at the openings after it", { timeout: PATIENCE_MS }, async () => {
  const seen = await tear({ record: "short", end: "killed", heals: true });
  assert.ok(isHealed(seen), JSON.stringify(seen));
});
