// Whether the page spares power: under a cut that the city told, and on a battery that is nearly empty.
import { computed, signal } from "@preact/signals";
import { power } from "../../shell/power.ts";
import { type Battery, batteryOf, type Charge, chargeOf, spares } from "./battery.ts";
import { gateLimits } from "./limits.ts";

/** Null where the browser does not tell. */
export const battery = signal<Battery | null>(null);
export const charge = computed<Charge | null>(() => battery.value && chargeOf(battery.value, gateLimits));
export const sparing = computed(() => spares(power.value, charge.value));

/** The Battery Status API, as far as it is used here; only Chromium has it. */
interface BatteryManager extends EventTarget {
  level: number;
  charging: boolean;
}

export async function watchBattery(): Promise<void> {
  const manager = await (navigator as { getBattery?: () => Promise<BatteryManager> }).getBattery?.();
  if (manager === undefined) return;
  const read = (): void => {
    battery.value = batteryOf(manager);
  };
  for (const kind of ["levelchange", "chargingchange"]) manager.addEventListener(kind, read);
  read();
}
