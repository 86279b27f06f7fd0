// The caps on unsent risk as a fuel gauge. Pure.
//
// Cash is money in hand, and what was confirmed elsewhere lies with whoever confirmed it: for both the event is a record,
// and a lost device loses no money. A promise and a capture of what was authorized online are money still to come, and
// until they are sent this device holds the only word of them. So the caps bind these two, and never cash.
import { limits } from "./limits.ts";
import type { Method } from "./sale.ts";

export interface Risk {
  /** Minor units. */
  amount: number;
  at: number;
}

export function isBound(method: Method): boolean {
  return method === "promise" || method === "authorized_online";
}

export type Level = "calm" | "half" | "high" | "full";

export interface Gauge {
  count: number;
  total: number;
  /** Until the oldest is too old; all of it when nothing is unsent. */
  leftMs: number;
  /** The fullest of the three, 0 to 1. */
  filled: number;
  level: Level;
}

export function gauge(risks: readonly Risk[], now: number): Gauge {
  const count = risks.length;
  const total = risks.reduce((sum, { amount }) => sum + amount, 0);
  const oldest = risks.reduce((first, { at }) => Math.min(first, at), now);
  const leftMs = Math.max(0, limits.capAgeMs - (now - oldest));
  const filled = Math.min(1, Math.max(count / limits.capCount, total / limits.capTotal, 1 - leftMs / limits.capAgeMs));
  return { count, total, leftMs, filled, level: levelOf(filled) };
}

function levelOf(filled: number): Level {
  if (filled >= 1) return "full";
  if (filled >= limits.gaugeHigh) return "high";
  return filled >= limits.gaugeHalf ? "half" : "calm";
}

/** Which cap forbids the sale. `sale`: too much for one without a link. */
export type Cap = "sale" | "count" | "total" | "age";

export interface Asked {
  amount: number;
  method: Method;
  /** The city answers right now. */
  linked: boolean;
}

/** Which cap a sale would break, or null when it may go on. An amount the bank holds has no cap of its own. */
export function capOf({ amount, method, linked }: Asked, now: Gauge): Cap | null {
  if (!isBound(method)) return null;
  if (now.leftMs === 0) return "age";
  if (now.count + 1 > limits.capCount) return "count";
  if (now.total + amount > limits.capTotal) return "total";
  return method === "promise" && !linked && amount > limits.capSale ? "sale" : null;
}
