// What runs in a page or a service worker. Each function is sent as its own text, so it may use nothing from outside it.
import type { Edge as Outbox } from "conch-edge";

/** What the driver tells whoever begins. */
export interface Orders {
  device: string;
  token: string;
  /** The first number that was not heard of; whatever came of it, it is said again. */
  from: number;
  /** Events of one turn, at most. */
  turn: number;
  /** Turns that are under way at once. */
  hands: number;
  /** Ids to be asked for once all is delivered; null while it is to emit. */
  settle: string[] | null;
}

/** An event that is safe: its number, its id, and whether it was stored before. */
export type Safe = [number: number, id: string, replayed: boolean];

/** What the outbox holds at its end, and how the city judged. */
export interface Delivered {
  verdicts: Record<string, number>;
  dead: number;
}

/** Reads the disk, then emits without a pause or delivers all there is. */
export async function work(Edge: typeof Outbox): Promise<void> {
  const post = async (path: string, body: BodyInit): Promise<unknown> => {
    const answer = await fetch(path, { method: "POST", body });
    return answer.json();
  };
  const asked = <T>(request: IDBRequest<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });

  /** The id and the intent of every stored event, 32 bytes each, before the package has touched anything. */
  const onDisk = async (name: string): Promise<Blob> => {
    const opening = indexedDB.open(name);
    let isNew = false;
    opening.onupgradeneeded = () => {
      isNew = true;
      opening.transaction?.abort();
    };
    const database = await asked(opening).catch((error) => {
      if (isNew) return null;
      throw error;
    });
    if (database === null) return new Blob([]);
    const reading = database.transaction(["intents", "marks", "bodies"], "readonly");
    const [intents, marks, bodies, segments] = await Promise.all([
      asked<{ p: Uint8Array<ArrayBuffer> }[]>(reading.objectStore("intents").getAll()),
      asked<{ f: number; s: Uint8Array }[]>(reading.objectStore("marks").getAll()),
      asked<string[]>(reading.objectStore("bodies").getAll()),
      asked(reading.objectStore("bodies").getAllKeys()),
    ]);
    database.close();
    const lines = new Map(segments.map((first, place) => [first, bodies[place]?.trimEnd().split("\n").length]));
    for (const { f: first, s: status } of marks) {
      const owes = status.some((one) => one === 0);
      if (owes && lines.get(first) !== status.length) {
        await post("/heard/broken", `segment ${first} owes ${status.length} events and has ${lines.get(first)} bodies`);
      }
    }
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (const { p: packed } of intents) {
      for (let row = 0; row < packed.length; row += 73) parts.push(packed.slice(row, row + 32));
    }
    return new Blob(parts);
  };

  const deliver = async (edge: Outbox, ids: string[]): Promise<Delivered> => {
    edge.flush();
    await new Promise<void>((resolve) => {
      edge.subscribe(({ backlog }) => backlog === 0 && resolve());
    });
    const verdicts: Record<string, number> = {};
    for (let told = 0; told < ids.length; told += 500) {
      for (const { verdict } of await Promise.all(ids.slice(told, told + 500).map((id) => edge.settled(id)))) {
        verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      }
    }
    return { verdicts, dead: edge.snapshot().dead };
  };

  const emit = (edge: Outbox, { device, from, turn, hands }: Orders): Promise<unknown> => {
    let next = from;
    let safe: Safe[] = [];
    let telling = false;
    const tell = async (): Promise<void> => {
      if (telling) return;
      telling = true;
      while (safe.length > 0) {
        const told = JSON.stringify(safe);
        safe = [];
        await post("/heard/safe", told);
      }
      telling = false;
    };
    const sell = async (number: number): Promise<void> => {
      const { id, replayed } = await edge.emit({
        topic: "pay.txn.v2",
        type: "requested",
        key: `${device}-${number}`,
        payload: { amount: 100 + (number % 900), currency: "TWD", method: "cash" },
      });
      safe.push([number, id, replayed]);
      void tell();
    };
    const hand = async (): Promise<never> => {
      for (;;) {
        const size = 1 + Math.floor(Math.random() * turn);
        await Promise.all(Array.from({ length: size }, () => sell(next++)));
      }
    };
    return Promise.all(Array.from({ length: hands }, hand));
  };

  try {
    const orders = (await post("/heard/begun", "")) as Orders;
    await post("/heard/disk", await onDisk(`conch-${orders.device}`));
    const edge = await Edge.open({ city: "/", device: orders.device, credentials: () => orders.token });
    const { alarm } = edge.snapshot().storage;
    const { goesOn } = (await post("/heard/opened", JSON.stringify({ alarm }))) as { goesOn: boolean };
    if (!goesOn) return;
    if (orders.settle === null) await emit(edge, orders);
    else {
      const delivered = await deliver(edge, orders.settle);
      await edge.close();
      await post("/heard/disk", await onDisk(`conch-${orders.device}`));
      await post("/heard/delivered", JSON.stringify(delivered));
    }
  } catch (error) {
    await post("/heard/broken", error instanceof Error ? `${error.message}\n${error.stack}` : String(error));
  }
}

/** The page of a service worker: starts it and keeps out of its way. */
export async function wake(): Promise<void> {
  await navigator.serviceWorker.register("/worker.js");
  const { active } = await navigator.serviceWorker.ready;
  active?.postMessage("work");
}

/** The files that have it done in a window or in a service worker. */
export function site(context: "window" | "service-worker"): [path: string, text: string][] {
  const page = (script: string): string =>
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>kills</title>${script}</html>`;
  const begin = page('<script type="module" src="/page.js"></script>');
  if (context === "window") {
    const script = `import { Edge } from "/conch-edge/index.js";\n(${work})(Edge);\n`;
    return [
      ["/", begin],
      ["/page.js", script],
    ];
  }
  const worker = `importScripts("/conch-edge/dist/sw.classic.js");
addEventListener("message", (event) => event.waitUntil((${work})(Conch.Edge)));\n`;
  return [
    ["/", begin],
    ["/page.js", `(${wake})();\n`],
    ["/worker.js", worker],
  ];
}
