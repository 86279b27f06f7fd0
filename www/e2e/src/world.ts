// One city and one phone for one test, put away whatever happens.
import assert from "node:assert/strict";
import { test } from "node:test";
import { City, type Counts, type Mode } from "./city.js";
import { Phone } from "./phone.js";
import { until } from "./until.js";

export interface World {
  city: City;
  phone: Phone;
}

/** One scenario, with the browser's start on a busy machine. */
const PATIENCE_MS = 180_000;

/** `options` are further ones of `city serve`. */
export function scenario(
  behaviour: string,
  run: (world: World) => Promise<void>,
  mode: Mode = "development",
  options: readonly string[] = [],
): void {
  test(behaviour, { timeout: PATIENCE_MS }, async () => {
    const city = await City.start(mode, options);
    try {
      const phone = await Phone.start();
      try {
        await run({ city, phone });
      } catch (error) {
        await phone.kill();
        throw error;
      }
      await phone.end();
    } finally {
      await city.end();
    }
  });
}

/** Asserts rows of the city's database; the others may be anything. */
export async function holds(city: City, wanted: Partial<Counts>): Promise<void> {
  const counts = await city.counts();
  const seen = Object.fromEntries(Object.keys(wanted).map((name) => [name, counts[name as keyof Counts]]));
  assert.deepEqual(seen, wanted);
}

/** Waits for rows that are on their way. */
export async function reaches(city: City, wanted: Partial<Counts>): Promise<void> {
  await until(`the city holds ${JSON.stringify(wanted)}`, async () => {
    const counts = await city.counts();
    return Object.entries(wanted).every(([name, value]) => counts[name as keyof Counts] === value);
  });
}
