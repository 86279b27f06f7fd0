// A wait that ends early when the world gives a reason to look again.
import { limits } from "./limits.ts";

const nudges = new EventTarget();

/** Something changed (link up, a person said "send now"): whoever waits looks again at once. */
export function nudge(): void {
  nudges.dispatchEvent(new Event("nudge"));
}

export function nudgedOrAfter(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      nudges.removeEventListener("nudge", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    nudges.addEventListener("nudge", done);
  });
}

/** Step n of a ladder of waits, the last one for all that follow, plus jitter. */
export function rung(ladder: readonly number[], step: number): number {
  const base = ladder[Math.min(step, ladder.length - 1)] ?? 0;
  return base * (1 + Math.random() * limits.askJitter);
}

export function nudgeOnReturn(): void {
  addEventListener("online", nudge);
  addEventListener("pageshow", nudge);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") nudge();
  });
}
