// The service worker: keeps the whole page, wasm included, so that a cold start needs no network.
// It never touches the city's HTTP and never takes over from an older version unless the page asks.
export type {};

declare const self: ServiceWorkerGlobalScope;
/** Filled in by the build: every file of this version with its digest. */
declare const __SHELL__: { page: string; version: string; files: { path: string; integrity: string }[] };

const shell = __SHELL__;
const prefix = `conch-${shell.page}-`;
const cacheName = prefix + shell.version;
const scope = new URL("./", self.location.href);

/** One file of this version; names under assets/ carry their content, so an older cache may lend them. */
async function obtain(path: string, integrity: string): Promise<Response> {
  const address = new URL(path, scope);
  const kept = path.startsWith("assets/") ? await caches.match(address) : undefined;
  const answer = kept ?? (await fetch(address, { cache: "no-store", integrity, redirect: "error" }));
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

async function fill(): Promise<void> {
  const cache = await caches.open(cacheName);
  await Promise.all(
    shell.files.map(async ({ path, integrity }) => {
      const answer = await obtain(path, integrity);
      await cache.put(path === "index.html" ? scope : new URL(path, scope), answer);
    }),
  );
}

async function forgetOlder(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(
    names.filter((name) => name.startsWith(prefix) && name !== cacheName).map((name) => caches.delete(name)),
  );
  await self.clients.claim();
}

async function answerFrom(request: Request): Promise<Response> {
  const cache = await caches.open(cacheName);
  const hit =
    request.mode === "navigate" ? await cache.match(scope) : await cache.match(request, { ignoreSearch: true });
  return hit ?? fetch(request);
}

self.addEventListener("install", (event) => event.waitUntil(fill()));
self.addEventListener("activate", (event) => event.waitUntil(forgetOlder()));
self.addEventListener("message", (event) => {
  if (event.data === "take-over") event.waitUntil(self.skipWaiting());
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(scope.href)) event.respondWith(answerFrom(request));
});
