// The amounts that were typed last: where nothing has a name, most guests still pay one of a few. Pure.
import { limits } from "./limits.ts";
import type { Sale } from "./sale.ts";

/**
 * Each once, in minor units, from `sales`, the newest first. By size, so that they keep their places while the same few come
 * again. What was given up may have been a slip of the finger.
 */
export function typedLately(sales: readonly Sale[]): readonly number[] {
  const typed = sales
    .filter(({ state }) => state !== "given-up")
    .flatMap(({ lines = [] }) => lines.filter(({ name }) => name === null).map(({ price }) => price))
    .filter((price) => price <= limits.typedLatelyMax);
  return [...new Set(typed)].slice(0, limits.typedLately).sort((one, other) => one - other);
}
