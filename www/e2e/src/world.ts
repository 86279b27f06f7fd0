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

/** What is made ready before the phone is switched on: its flags. */
export type Prepare<Made> = (city: City) => Promise<{ flags: string[]; made: Made }>;

/**
 * A scenario whose phone depends on what the city issued, such as what its camera sees. `options` are further ones of
 * `city serve`.
 */
export function prepared<Made>(
  behaviour: string,
  prepare: Prepare<Made>,
  run: (world: World, made: Made) => Promise<void>,
  mode: Mode = "development",
  options: readonly string[] = [],
): void {
  test(behaviour, { timeout: PATIENCE_MS }, async () => {
    const city = await City.start(mode, options);
    try {
      const { flags, made } = await prepare(city);
      const phone = await Phone.start(flags);
      try {
        await run({ city, phone }, made);
      } catch (error) {
        const seen = await phone.seen();
        await phone.kill();
        throw new Error(`${error}\n\nThe phone showed:\n${seen}`, { cause: error });
      }
      await phone.end();
    } finally {
      await city.end();
    }
  });
}

/** `options` are further ones of `city serve`. */
export function scenario(
  behaviour: string,
  run: (world: World) => Promise<void>,
  mode: Mode = "development",
  options: readonly string[] = [],
): void {
  prepared(behaviour, async () => ({ flags: [], made: null }), run, mode, options);
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
