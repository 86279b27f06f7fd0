// What runs in the page whose log is torn. Sent as its own text, so it may use nothing from outside it.
import type { Edge as Outbox } from "conch-edge";

export interface Orders {
  /** Events to emit after the disk was read. */
  emits: number;
  /** Whether a new log may begin, or is kept from it behind the outbox's back. */
  heals: boolean;
}

/** What one opening found on the disk and what it called safe. */
export interface Opened {
  found: string[];
  safe: string[];
  /** When the first of them was, by the wall clock. */
  safeAt: number | null;
  /** What the outbox itself says of its storage. */
  alarm: "evicted" | "restored" | null;
}

export async function open(Edge: typeof Outbox): Promise<void> {
  const post = (path: string, body = ""): Promise<Response> => fetch(`/heard/${path}`, { method: "POST", body });
  try {
    const { emits, heals } = (await (await post("begun")).json()) as Orders;
    if (!heals) IDBFactory.prototype.deleteDatabase = () => ({}) as IDBOpenDBRequest;
    const edge = await Edge.open({ city: "/", device: "torn", credentials: () => null, feed: false });
    const { alarm } = edge.snapshot().storage;
    const found = (await edge.owed(1_000)).map(({ id }) => id);
    const safe: string[] = [];
    let safeAt: number | null = null;
    for (let told = 0; told < emits; told += 1) {
      const key = `${found.length + told}`;
      safe.push((await edge.emit({ topic: "stall.note.v1", type: "made", key, payload: { key } })).id);
      safeAt ??= Date.now();
    }
    await post("opened", JSON.stringify({ found, safe, safeAt, alarm } satisfies Opened));
  } catch (error) {
    await post("broken", String(error));
  }
}

export const page: [path: string, text: string][] = [
  [
    "/",
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>torn</title><script type="module" src="/page.js"></script></html>',
  ],
  ["/page.js", `import { Edge } from "/conch-edge/index.js";\n(${open})(Edge);\n`],
];
