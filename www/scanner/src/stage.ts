// Whether the gate is open or still being checked, and what a person's first touch sets going.
import { computed, signal } from "@preact/signals";
import { opening, snapshot } from "../../shell/outbox.ts";
import { forget, recall, remember } from "../../shell/store.ts";
import { stayAwake } from "./awake.ts";
import { camera, startCamera } from "./camera.ts";
import { clockIsOff, held, isUp, listAge, skew } from "./known.ts";
import { gateLimits } from "./limits.ts";
import { checksOf, mayOpen } from "./preflight.ts";
import { play, sound, unlock } from "./sound.ts";
import { battery, charge } from "./sparing.ts";

/** When this gate was opened last; another device of the same browser is another gate. */
const opened = (device: string): string => `conch.scanner.opened.${device}`;

export const stage = signal<"checks" | "open">("checks");
const heard = signal(false);

export const checks = computed(() =>
  checksOf({
    opening: opening.value.step,
    list: {
      age: listAge.value,
      keys: held.value?.list.keys.length ?? 0,
      complete: held.value?.list.complete ?? true,
    },
    persisted: snapshot.value?.storage.persisted ?? null,
    camera: camera.value,
    sound: sound.value,
    heard: heard.value,
    clock: { known: skew.value !== null, off: clockIsOff.value },
    isUp: isUp.value,
    battery: battery.value && charge.value && { charge: charge.value, charging: battery.value.charging },
  }),
);
export const permission = computed(() => mayOpen(checks.value));

/** One touch: browsers give camera and sound to nobody who did not ask. */
export async function runChecks(): Promise<void> {
  if (camera.value !== "on") void startCamera();
  // Installed pages are promised their storage; asking costs nothing.
  void navigator.storage?.persist?.().catch(() => undefined);
  await unlock();
  play("accepted");
  heard.value = sound.value === "on";
}

/** Goes on where a reload cut it off. */
export function resume(device: string): void {
  const ms = Date.now() - Number(recall(opened(device)) ?? 0);
  if (ms >= 0 && ms < gateLimits.openedMs) stage.value = "open";
}

export function openTheGate(device: string): void {
  if (permission.value === "not-yet") return;
  remember(opened(device), String(Date.now()));
  stage.value = "open";
  begin();
}

/** Whoever comes next begins with the checks. */
export function forgetOpened(device: string): void {
  forget(opened(device));
}

export function backToChecks(): void {
  stage.value = "checks";
}

/** What runs while the gate is open. */
export function begin(): void {
  stayAwake();
  if (camera.value === "off") void startCamera();
}
