// What the battery says: whether somebody must plug in, and whether the page spares what it can. Pure.
import type { Power } from "../../shell/cut.ts";

export interface Battery {
  /** Whole, 0 to 100. */
  percent: number;
  charging: boolean;
}

/** `low`: plug in soon. `empty`: plug in now, and until then the page spares. */
export type Charge = "good" | "low" | "empty";

interface Limits {
  batteryLow: number;
  batteryEmpty: number;
}

/** Full and plugged in is also what a browser says of a device without a battery, so it tells nothing. */
export function batteryOf({ level, charging }: { level: number; charging: boolean }): Battery | null {
  if (!(level >= 0 && level <= 1) || (charging && level === 1)) return null;
  return { percent: Math.round(level * 100), charging };
}

export function chargeOf({ percent, charging }: Battery, { batteryLow, batteryEmpty }: Limits): Charge {
  if (charging || percent > batteryLow) return "good";
  return percent > batteryEmpty ? "low" : "empty";
}

/** From the announcement of a cut until power is back, and while the battery is nearly empty. */
export function spares(power: Power | null, charge: Charge | null): boolean {
  return power?.state === "shed" || charge === "empty";
}
