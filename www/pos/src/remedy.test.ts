import assert from "node:assert/strict";
import { test } from "node:test";
import { wayOut, wayOutOfFailure } from "./remedy.ts";

const refused = (code: string) => wayOut({ reason: "refused", problem: { type: `urn:conch:problem:${code}` } });

test("what may have arrived is only ever sent again as the very same", () => {
  const { remedies } = wayOut({ reason: "expired", problem: null });
  assert.deepEqual(remedies, ["send-again", "void"]);
});

test("an order that has its payment is not sent again and not entered again", () => {
  for (const code of ["already-paid", "already-promised"]) assert.deepEqual(refused(code).remedies, ["void"]);
});

test("a wrong enrolment is mended, and then the same is sent again", () => {
  assert.deepEqual(refused("role-forbids-topic"), { advice: "enrol", remedies: ["send-again", "void"] });
});

test("what the city cannot read is entered anew", () => {
  assert.deepEqual(refused("bad-payload").remedies, ["enter-again", "void"]);
  assert.deepEqual(wayOut({ reason: "poison", problem: null }).remedies, ["enter-again", "void"]);
});

test("any other refusal may be sent again or taken another way", () => {
  assert.deepEqual(refused("something-new").remedies, ["send-again", "other-way", "void"]);
});

test("after a failure the order is taken another way or anew, unless it has its payment", () => {
  assert.deepEqual(wayOutOfFailure("declined").remedies, ["other-way", "enter-again", "void"]);
  assert.deepEqual(wayOutOfFailure("already_paid").remedies, ["void"]);
  assert.deepEqual(wayOutOfFailure("amount_mismatch").remedies, ["void"], "the books have a payment of it");
});
