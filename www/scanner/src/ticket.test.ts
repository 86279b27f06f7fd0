import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { byLibrary, checkSignature } from "./signature.ts";
import { digestOf, fromBase32, readCode, toBase32 } from "./ticket.ts";

interface Vector {
  public: string;
  key: number;
  number: string;
  ticket: string;
  validFrom: number | null;
  validUntil: number | null;
  class: string;
  code: string;
}
interface BadVector {
  why: "unreadable" | "unknown-key" | "forged";
  code: string;
}

/** The city's own encoder made these, and its tests hold them too. */
const read = <T>(file: string): T =>
  JSON.parse(readFileSync(new URL(`../../../../../../city/tests/${file}`, import.meta.url), "utf8")) as T;
const vectors = read<Vector[]>("ticket-codes.json");
const bad = read<BadVector[]>("foreign-codes.json");
const keys = vectors.map(({ key, public: hex }) => ({ number: key, public: hex }));

test("what the city signed is read as it was signed", () => {
  assert.equal(vectors.length, 2);
  for (const vector of vectors) {
    const code = readCode(vector.code);
    assert.deepEqual(
      [code?.key, code?.ticket, code?.validFrom, code?.validUntil, code?.class],
      [vector.key, vector.ticket, vector.validFrom, vector.validUntil, vector.class],
    );
  }
});

test("the browser's Ed25519 and the library's both know the city's signatures", async () => {
  for (const vector of vectors) {
    const code = readCode(vector.code);
    assert.ok(code !== null);
    assert.equal(await checkSignature(code, keys), "genuine");
    assert.equal(await byLibrary(code, vector.public), true);
  }
});

test("a code is the same however it is typed", async () => {
  for (const { code, ticket } of vectors) {
    const typed = ` ${code.toLowerCase().replaceAll("0", "o").replaceAll("1", "l")}\n`;
    assert.equal(readCode(typed)?.ticket, ticket);
  }
});

test("no code that the city calls none of its own passes here, by either implementation", async () => {
  assert.ok(bad.length >= 10);
  for (const { why, code } of bad) {
    const said = readCode(code);
    if (why === "unreadable") {
      assert.equal(said, null, code);
      continue;
    }
    assert.ok(said !== null, code);
    assert.equal(await checkSignature(said, keys), why, code);
    if (why === "forged") {
      const own = keys.find(({ number }) => number === said.key);
      assert.equal(await byLibrary(said, own?.public ?? ""), false, code);
    }
  }
});

test("no changed sign passes", async () => {
  const [vector] = vectors;
  assert.ok(vector !== undefined);
  for (let place = 0; place < vector.code.length; place += 1) {
    const sign = vector.code[place] === "7" ? "8" : "7";
    const changed = readCode(vector.code.slice(0, place) + sign + vector.code.slice(place + 1));
    if (changed !== null) assert.notEqual(await checkSignature(changed, keys), "genuine", String(place));
  }
});

test("base 32 is read back at every length", () => {
  for (let length = 0; length < 40; length += 1) {
    const bytes = Uint8Array.from({ length }, (_, place) => (place * 89) ^ 0xa5);
    assert.deepEqual(fromBase32(toBase32(bytes)), bytes);
  }
  assert.equal(fromBase32("U"), null);
});

/** `printf %s t-1 | sha256sum`, as in the city's test. */
test("a digest is the beginning of SHA-256 over the id", async () => {
  assert.equal(await digestOf("t-1"), "46e9bc3476c92ea2");
});
