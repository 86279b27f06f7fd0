// The board as the city last told it, and how old that is. One question waits for news; the next one begins where it ended.
import { computed, signal } from "@preact/signals";
import { ask, authorized } from "../../shell/city.ts";
import { nudgedOrAfter, rung } from "../../shell/events.ts";
import { credentials, enrolment, type Identity, tokenAtHand } from "../../shell/identity.ts";
import { limits } from "./limits.ts";
import type { Board } from "./shapes.ts";

export const board = signal<Board | null>(null);
/** When the last answer came, by this machine's clock. */
const answeredAt = signal(0);
/** How far the city's clock is ahead of this machine's, in ms. */
const ahead = signal(0);
const clock = signal(Date.now());
/** The city knows this device, and not as ops. */
export const forbidden = signal(false);

/** The city's time now, as far as this machine can tell. */
export const cityNow = computed(() => clock.value + ahead.value);
/** How long ago the city was heard, in ms. */
export const ageOfBoard = computed(() => Math.max(0, clock.value - answeredAt.value));
export const isStale = computed(() => board.value === null || ageOfBoard.value >= limits.staleMs);

const tick = (): void => {
  clock.value = Date.now();
};

async function askOnce(me: Identity): Promise<"heard" | "away"> {
  const stamp = board.peek()?.stamp ?? "";
  const path = `/v1/board?wait=${stamp === "" ? 0 : limits.waitS}&after=${encodeURIComponent(stamp)}`;
  const answer = await ask<Board>(path, authorized(tokenAtHand()));
  if (answer.kind === "refused" && answer.status === 401) await credentials(me);
  forbidden.value = answer.kind === "refused" && answer.status === 403;
  if (answer.kind !== "found") return "away";
  tick();
  answeredAt.value = clock.value;
  ahead.value = answer.value.now - clock.value;
  board.value = answer.value;
  return "heard";
}

/** Asks for as long as the page is open. A hidden page has nobody to show anything to. */
export async function keepAsking(me: Identity): Promise<never> {
  setInterval(tick, 1_000);
  for (let failed = 0; ; ) {
    if (enrolment.peek() !== "enrolled" || document.visibilityState !== "visible") {
      await nudgedOrAfter(limits.againMs[0]);
      continue;
    }
    if ((await askOnce(me)) === "heard") {
      failed = 0;
      continue;
    }
    await nudgedOrAfter(rung(limits.againMs, failed));
    failed += 1;
  }
}
