// The repeat-sale guard: the same amount by the same method a moment ago may be a second tap. Pure.
import { limits } from "./limits.ts";
import type { Method, Sale } from "./sale.ts";

/** The sale that this one may be a second tap of. One that came to nothing is no reason to ask. */
export function twinOf(asked: { amount: number; method: Method }, sales: readonly Sale[], now: number): Sale | null {
  const twin = sales.find(
    ({ amount, method, at, state }) =>
      amount === asked.amount &&
      method === asked.method &&
      state !== "given-up" &&
      state !== "attention" &&
      // A clock that was set back makes a recent sale seem to lie ahead.
      Math.abs(now - at) < limits.repeatMs,
  );
  return twin ?? null;
}
