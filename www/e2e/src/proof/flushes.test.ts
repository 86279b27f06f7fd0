// The look at flushes in Chromium, with its control, where this machine lets one process trace another. Firefox as well:
// `cargo xtask proof flushes`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { allFlushed, cannotWatch, watch } from "./flushes.js";

const PATIENCE_MS = 300_000;
const why = await cannotWatch();

test("a call resolves only after a flush, and relaxed transactions fail the same look", {
  timeout: PATIENCE_MS,
  skip: why ?? false,
}, async () => {
  assert.ok(allFlushed(await watch("chromium", "strict")));
  assert.ok(!allFlushed(await watch("chromium", "relaxed")));
});
