// The power of the place this device stands at, as the city told it, from the outbox's records: it is there after a reload.
import { computed, signal } from "@preact/signals";
import type { Edge } from "conch-edge";
import { now } from "./clock.ts";
import { POWER, type Power } from "./cut.ts";
import { limits } from "./limits.ts";
import { sendNow } from "./outbox.ts";

const said = signal<Power | null>(null);
/** What a person has read already. */
const put = signal<Power | null>(null);

/** What is told of power, if it still matters. */
export const power = computed<Power | null>(() => {
  const told = said.value;
  if (told === null || told.at === put.value?.at) return null;
  const shownMs = told.state === "shed" ? limits.shedShownMs : limits.restoredShownMs;
  return now.value - told.at < shownMs ? told : null;
});

/** Whole seconds until power may go; 0 when it may have gone. */
export const powerLeftS = computed(() => {
  const told = power.value;
  return told?.state === "shed" ? Math.max(0, Math.ceil((told.at - now.value) / 1_000)) : 0;
});

/** `shed`: it goes in a moment. `gone`: it may have gone. */
export const powerStep = computed<"none" | "shed" | "gone" | "restored">(() => {
  const told = power.value;
  if (told === null) return "none";
  if (told.state === "restored") return "restored";
  return powerLeftS.value > 0 ? "shed" : "gone";
});

export function putPowerAway(): void {
  put.value = said.value;
}

async function read(outbox: Edge): Promise<void> {
  const before = said.value;
  said.value = (await outbox.records<Power>(POWER).get(POWER)) ?? null;
  now.value = Date.now();
  // While there is still power, what is owed goes first.
  if (said.value?.state === "shed" && said.value.at !== before?.at && power.value !== null) sendNow();
}

export async function watchPower(outbox: Edge): Promise<void> {
  outbox.outcomes((event) => {
    if (event.topic.startsWith("ops.power.")) void read(outbox).catch(() => undefined);
  });
  await read(outbox);
}
