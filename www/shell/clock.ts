// The time for whatever counts on the screen.
import { signal } from "@preact/signals";
import { limits } from "./limits.ts";

export const now = signal(Date.now());

function tick(): void {
  // A hidden page has nobody to count for.
  if (document.visibilityState === "visible") now.value = Date.now();
}

setInterval(tick, limits.tickMs);
document.addEventListener("visibilitychange", tick);
