// The service worker from the page's side. A new version waits until a person asks for it; it never reloads by itself.
import { signal } from "@preact/signals";

export const newVersion = signal(false);

let waiting: ServiceWorker | null = null;

function look(registration: ServiceWorkerRegistration): void {
  // Without a controller this is the first version ever, and nothing is replaced.
  if (navigator.serviceWorker.controller === null) return;
  waiting = registration.waiting;
  newVersion.value = waiting !== null;
}

export async function keepShell(): Promise<void> {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  const registration = await navigator.serviceWorker.register(`${import.meta.env.BASE_URL}worker.js`);
  look(registration);
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", () => look(registration));
  });
  addEventListener("online", () => void registration.update().catch(() => undefined));
}

export function takeNewVersion(): void {
  navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
  waiting?.postMessage("take-over");
}
