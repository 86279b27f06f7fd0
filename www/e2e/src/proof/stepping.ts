// What runs in the watched page. Each function is sent as its own text, so it may use nothing from outside it.
import type { Edge as Outbox } from "conch-edge";

export type Durability = "strict" | "relaxed";
export type Step = "emit" | "commit" | "settle";

export interface Orders {
  /** As the outbox asks for it, or every transaction relaxed behind its back. */
  durability: Durability;
  token: string;
  steps: number;
}

/** One call, from before it was made until after it resolved, by the driver's clock. */
export interface Watched {
  step: Step;
  began: number;
  ended: number;
  /** Transactions of it for which the outbox asked for strict durability. */
  strict: number;
}

/** One call after the other, each told before and after it. */
export async function step(Edge: typeof Outbox, { durability, token, steps }: Orders): Promise<void> {
  const post = (path: string, body = ""): Promise<unknown> => fetch(`/heard/${path}`, { method: "POST", body });
  const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));
  let strict = 0;
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    if (options?.durability !== "strict") return transaction.call(this, stores, mode, options);
    strict += 1;
    return transaction.call(this, stores, mode, { ...options, durability });
  };
  const watched = async (step: Step, call: () => Promise<unknown>): Promise<void> => {
    await quiet();
    strict = 0;
    await post("begin");
    await call();
    await post("end", JSON.stringify({ step, strict }));
  };
  try {
    await post("away", "true");
    const edge = await Edge.open({ city: "/", device: "watched", credentials: () => token, feed: false });
    const event = (key: string) => ({ topic: "stall.note.v1", type: "made", key, payload: { key } }) as const;
    for (let told = 0; told < steps; told += 1) await watched("emit", () => edge.emit(event(`e-${told}`)));
    for (let told = 0; told < steps; told += 1) {
      const put = [{ collection: "notes", key: `n-${told}`, value: told }];
      await watched("commit", () => edge.commit({ put, emit: [event(`c-${told}`)] }));
    }
    // All of that is delivered first, so that later each event has a verdict of its own.
    await post("away", "false");
    edge.flush();
    await new Promise<void>((resolve) => void edge.subscribe(({ backlog }) => backlog === 0 && resolve()));
    for (let told = 0; told < steps; told += 1) {
      await post("away", "true");
      const { id } = await edge.emit(event(`s-${told}`));
      await watched("settle", async () => {
        await post("away", "false");
        edge.flush();
        await edge.settled(id);
      });
    }
    await post("done");
  } catch (error) {
    await post("broken", String(error));
  }
}

export function pages(orders: Orders): [path: string, text: string][] {
  const page = (script: string): string =>
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>flushes</title><script type="module" src="${script}"></script></html>`;
  return [
    ["/warm", page("/warm.js")],
    ["/warm.js", 'fetch("/heard/warm", { method: "POST" });\n'],
    ["/", page("/page.js")],
    ["/page.js", `import { Edge } from "/conch-edge/index.js";\n(${step})(Edge, ${JSON.stringify(orders)});\n`],
  ];
}
