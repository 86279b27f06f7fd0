// Waiting for a condition. Nothing here waits for time to pass.
const PATIENCE_MS = 30_000;
const LOOK_AGAIN_MS = 50;

/** What no waiting mends: `until` passes it on at once. */
export class Hopeless extends Error {}

/** Looks until `look` gives something true, and says what was missing when it never did. */
export async function until<T>(
  what: string,
  look: () => Promise<T | false | null | undefined>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const end = Date.now() + patienceMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const seen = await look();
      if (seen) return seen;
      last = seen;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  throw new Error(
    `waited ${patienceMs} ms for: ${what} (last: ${last instanceof Error ? last.message : String(last)})`,
  );
}
