import assert from "node:assert/strict";
import { test } from "node:test";
import { hindrances } from "../../shell/hindrances.ts";
import type { Scan } from "./scan.ts";
import { totalsOf } from "./shift.ts";

let made = 0;
function scan(rest: Partial<Scan>): Scan {
  made += 1;
  return { key: `e${made}`, at: 1_000 + made, ticket: `T-${made}`, state: "saved", decision: "admitted", ...rest };
}

const lines = (scans: Scan[]) =>
  totalsOf(scans, "n1").parts.map(({ outcome, count, lines }) => [
    outcome,
    count,
    lines.map(({ word, count }) => `${word} ${count}`).join(", "),
  ]);

test("who went in is counted by how sure it is, and who did not by why", () => {
  const scans = [
    scan({ state: "admitted" }),
    scan({ state: "admitted" }),
    scan({}),
    scan({ state: "used", first: { place: "s1", at: 1 } }),
    scan({ decision: "refused", reason: "revoked" }),
    scan({ state: "admitted", notLetIn: "id" }),
  ];
  assert.deepEqual(lines(scans), [
    ["in", 4, "admitted 2, saved 1, doubled 1"],
    ["out", 2, "revoked 1, not-let-in 1"],
  ]);
  assert.equal(totalsOf(scans, "n1").letIn, 4);
});

test("who was let in by a supervisor counts once, as let in", () => {
  const scans = [scan({ letIn: true }), scan({ decision: "refused", reason: "unverified", overruled: true })];
  assert.deepEqual(lines(scans), [["in", 1, "let-in 1"]]);
  assert.deepEqual([totalsOf(scans, "n1").all, totalsOf(scans, "n1").letIn], [1, 1]);
});

test("a ticket that was used is one line, here or elsewhere", () => {
  const used = (place: string) => scan({ decision: "refused", reason: "duplicate", first: { place, at: 1 } });
  assert.deepEqual(lines([used("n1"), used("s1")]), [["out", 2, "used 2"]]);
});

test("what the city did not take and what was given up is in no headcount", () => {
  const scans = [scan({ state: "refused", problem: "x" }), scan({ state: "given-up" }), scan({})];
  assert.deepEqual(lines(scans), [
    ["in", 1, "saved 1"],
    ["void", 2, "refused 1, given-up 1"],
  ]);
  assert.equal(totalsOf(scans, "n1").letIn, 1);
});

test("every scan is in exactly one line", () => {
  const reasons = ["revoked", "not_yet_valid", "expired", "wrong_gate", "unverified", "unknown_ticket"] as const;
  const scans = reasons.map((reason) => scan({ decision: "refused", reason }));
  const { all, parts } = totalsOf([...scans, scan({}), scan({ state: "given-up" })], "n1");
  assert.equal(all, 8);
  assert.equal(
    parts.reduce((sum, { count }) => sum + count, 0),
    8,
  );
});

test("the shift began with the first scan that is still there, and an empty one never did", () => {
  assert.equal(totalsOf([scan({ at: 30 }), scan({ at: 10 }), scan({ at: 20 })], "n1").since, 10);
  assert.deepEqual(totalsOf([], "n1"), { all: 0, letIn: 0, since: null, parts: [] });
});

test("nobody ends a shift while a scan is unsent, undecided or not stored", () => {
  assert.deepEqual(hindrances({ unsent: 0, dead: 0, unstored: 0 }), []);
  assert.deepEqual(hindrances({ unsent: 1, dead: 2, unstored: 1 }), ["unsent", "dead", "unstored"]);
});
