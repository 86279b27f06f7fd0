import assert from "node:assert/strict";
import { test } from "node:test";
import { readHold } from "./hold.ts";

const problem = (code: string) => ({ type: `urn:conch:problem:${code}` });

test("only the city's own word is a hold", () => {
  const body = { state: "authorized", authRef: "auth-1" };
  assert.deepEqual(readHold(201, true, body), { kind: "held", authRef: "auth-1" });
  assert.deepEqual(readHold(200, false, body), { kind: "away" }, "a portal answers 200 to everything");
  assert.deepEqual(readHold(201, true, { state: "authorized" }), { kind: "unknown" });
  assert.deepEqual(readHold(201, true, null), { kind: "unknown" });
});

test("each definite answer has its own word, and anything else is unknown", () => {
  assert.equal(readHold(201, true, { state: "declined" }).kind, "declined");
  assert.equal(readHold(201, true, { state: "cancelled" }).kind, "ended");
  assert.equal(readHold(501, true, problem("no-acquirer")).kind, "no-acquirer");
  assert.equal(readHold(401, true, problem("unauthorized")).kind, "identity");
  assert.equal(readHold(409, true, problem("already-paid")).kind, "already");
  assert.equal(readHold(409, true, problem("payment-pending")).kind, "pending");
  assert.equal(readHold(422, true, problem("idempotency-key-reused")).kind, "reused");
  for (const status of [409, 429, 500, 503]) assert.equal(readHold(status, true, problem("busy")).kind, "unknown");
});
