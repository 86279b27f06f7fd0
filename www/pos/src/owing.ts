// What this device still owes the city, as the outbox has it: for the list of unsent rows and for the caps.
import { computed, effect, signal } from "@preact/signals";
import type { Edge, Owed } from "conch-edge";
import { now } from "../../shell/clock.ts";
import { snapshot } from "../../shell/outbox.ts";
import { gauge, isBound, type Risk } from "./caps.ts";
import { limits } from "./limits.ts";
import { isMethod } from "./sale.ts";

export const owed = signal<readonly Owed[]>([]);

const risks = computed<readonly Risk[]>(() =>
  owed.value.flatMap(({ payload: { amount, method }, storedAt }) =>
    isMethod(method) && isBound(method) && typeof amount === "number" ? [{ amount, at: storedAt }] : [],
  ),
);

export const fuel = computed(() => gauge(risks.value, now.value));

let reading: Promise<void> | null = null;
let again = false;

/** Reads the list; while it is read, any number of reasons to look are one more look. */
async function read(outbox: Edge): Promise<void> {
  if (reading !== null) {
    again = true;
    return reading;
  }
  reading = outbox.owed(limits.owedRead).then(
    (rows) => {
      owed.value = rows;
    },
    // The outbox is closing or its storage is in trouble, which has a place of its own on the screen.
    () => undefined,
  );
  await reading;
  reading = null;
  if (!again) return;
  again = false;
  await read(outbox);
}

export function watchOwed(outbox: Edge): void {
  effect(() => {
    // Every change of the outbox may be one of a row: a try, a verdict, a new event.
    if (snapshot.value !== null) void read(outbox);
  });
}
