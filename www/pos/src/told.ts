// What the city has told this till, from the outbox's records: they are there after a reload as well.
import { computed, signal } from "@preact/signals";
import type { Edge } from "conch-edge";
import { now } from "../../shell/clock.ts";
import { sendNow } from "../../shell/outbox.ts";
import { POWER, type Power, REFUNDS, type Refund } from "./heard.ts";
import { limits } from "./limits.ts";

export const refunds = signal<readonly Refund[]>([]);
const said = signal<Power | null>(null);
/** What a person has read already. */
const put = signal<Power | null>(null);

/** The notice of power on the screen, if there is one that still matters. */
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

export function putPowerAway(): void {
  put.value = said.value;
}

export function refundsOf(order: string): readonly Refund[] {
  return refunds.value.filter((refund) => refund.order === order);
}

async function read(outbox: Edge): Promise<void> {
  const before = said.value;
  const records = await outbox.records<Refund>(REFUNDS).list();
  refunds.value = records.map(({ value }) => value);
  said.value = (await outbox.records<Power>(POWER).get(POWER)) ?? null;
  now.value = Date.now();
  // While there is still power, what is owed goes first.
  if (said.value?.state === "shed" && said.value.at !== before?.at && power.value !== null) sendNow();
}

export async function watchTold(outbox: Edge): Promise<void> {
  outbox.outcomes((event) => {
    if (event.topic.startsWith("pay.") || event.topic.startsWith("ops.power."))
      void read(outbox).catch(() => undefined);
  });
  await read(outbox);
}
