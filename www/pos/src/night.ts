// The end of a night: what was sold, by state and by method. Pure.
import { type Doubt, type Method, type Sale, type Standing, standingOf } from "./sale.ts";

export interface Sum {
  count: number;
  /** Minor units. */
  amount: number;
}

export interface Totals {
  byStanding: ReadonlyMap<Standing, Sum>;
  /** Of what was sold; what came to nothing is not in it. */
  byMethod: ReadonlyMap<Method, Sum>;
  all: Sum;
}

const nothing: ReadonlySet<Standing> = new Set(["given-up", "not-saved", "attention"]);

function added<K>(sums: Map<K, Sum>, key: K, amount: number): void {
  const { count, amount: before } = sums.get(key) ?? { count: 0, amount: 0 };
  sums.set(key, { count: count + 1, amount: before + amount });
}

export function totalsOf(sales: readonly Sale[], doubt: Doubt): Totals {
  const byStanding = new Map<Standing, Sum>();
  const byMethod = new Map<Method, Sum>();
  let all = { count: 0, amount: 0 };
  for (const sale of sales) {
    const standing = standingOf(sale, doubt);
    added(byStanding, standing, sale.amount);
    if (nothing.has(standing)) continue;
    added(byMethod, sale.method, sale.amount);
    all = { count: all.count + 1, amount: all.amount + sale.amount };
  }
  return { byStanding, byMethod, all };
}
