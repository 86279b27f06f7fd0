// Keeps the screen on while the gate is open. The browser takes it back whenever the page is hidden.
let wanted = false;
let watched = false;
let lock: WakeLockSentinel | null = null;

async function ask(): Promise<void> {
  if (!wanted || lock !== null || document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
  // Refused on a low battery: then the screen goes dark as it always did.
  lock = await navigator.wakeLock.request("screen").catch(() => null);
  lock?.addEventListener("release", () => {
    lock = null;
  });
  // Somebody may have signed out meanwhile.
  if (!wanted) letSleep();
}

export function stayAwake(): void {
  if (!watched) document.addEventListener("visibilitychange", () => void ask());
  watched = true;
  wanted = true;
  void ask();
}

export function letSleep(): void {
  wanted = false;
  void lock?.release().catch(() => undefined);
}
