// What the city told this gate to judge by, how old that is, and what follows from its age. Pure.
import type { TicketKey } from "./signature.ts";

/** The answer of GET /v1/gate. */
export interface GateList {
  /** Whether plain ids count that the city did not issue. */
  policy: "any" | "known";
  keys: readonly TicketKey[];
  /** Digests of tickets that were taken back. */
  revoked: readonly string[];
  /** Tickets that are good at some gates only. */
  bound: readonly { digest: string; gates: readonly string[] }[];
  /** False when there were more of them than the list holds. */
  complete: boolean;
  /** When it was made, by the city's clock. */
  listedAt: number;
}

/** A list at hand, and when the city last said that it holds, by this device's clock. */
export interface HeldList {
  list: GateList;
  tag: string | null;
  heardAt: number;
}

export type Age = "none" | "fresh" | "old" | "stale";

export interface AgeLimits {
  listOldMs: number;
  listStaleMs: number;
}

/** A list does not stop a gate by its age; it is marked. A clock that was set back makes its age unknown: that is old. */
export function ageOf(held: HeldList | null, now: number, limits: AgeLimits): Age {
  if (held === null) return "none";
  const ms = now - held.heardAt;
  if (ms > limits.listStaleMs) return "stale";
  return ms > limits.listOldMs || ms < -limits.listOldMs ? "old" : "fresh";
}

/** Minutes since the city said it, never below nought. */
export function minutesSince(heardAt: number, now: number): number {
  return Math.max(0, Math.floor((now - heardAt) / 60_000));
}
