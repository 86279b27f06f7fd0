// What the city says of this device's power, as a record that changes in the transaction which remembers the event. Pure.
import type { Outcome, Put } from "conch-edge";

export const POWER = "power";

export interface Power {
  state: "shed" | "restored";
  /** When power may go, by this device's clock; for `restored` when it came back. */
  at: number;
}

/** When the city said it, by its own clock; now, where it does not say. */
export function saidAt({ time }: Outcome, now: number): number {
  const at = time === null ? Number.NaN : Date.parse(time);
  return Number.isNaN(at) ? now : at;
}

function graceMsOf({ payload }: Outcome): number {
  const isObject = typeof payload === "object" && payload !== null && !Array.isArray(payload);
  const seconds = isObject ? payload.graceS : undefined;
  return typeof seconds === "number" ? seconds * 1_000 : 0;
}

/** Power goes when the grace is over since the city said so, and never later than a whole grace from now. */
export function powerOf(event: Outcome, now: number): Power | null {
  if (event.type === "restored") return { state: "restored", at: now };
  if (event.type !== "shed") return null;
  return { state: "shed", at: Math.min(saidAt(event, now), now) + graceMsOf(event) };
}

/** The record that an event of the feed changes, if it speaks of power. */
export function powerPut(event: Outcome, now: number): Put<object> | null {
  const power = event.topic === "ops.power.v1" ? powerOf(event, now) : null;
  return power === null ? null : { collection: POWER, key: POWER, value: power };
}
