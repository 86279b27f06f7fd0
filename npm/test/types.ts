// Compiled, never run: what the types must take and what they must refuse.
import { Edge, isConchError } from "conch-edge";
import { Edge as Inlined } from "conch-edge/inline";
import { Edge as Worked } from "conch-edge/sw";
import "conch-edge/sw.classic.js";

// Every entry is the same face.
[Inlined, Worked, Conch.Edge] satisfies (typeof Edge)[];

const edge = await Edge.open({ city: "/", device: "till-1", credentials: async () => "token" });

const receipt = await edge.emit({
  topic: "pay.txn.v2",
  type: "requested",
  key: edge.newKey("order"),
  payload: { amount: 12000, currency: "TWD", method: "cash" },
});
const sequence: number = receipt.sequence;
const strict: "strict" = receipt.durabilityRequested;

// A topic of one's own carries any JSON.
await edge.emit({ topic: "stall.note.v1", type: "written", key: "n-1", payload: { text: "tea", count: [1, 2] } });

// @ts-expect-error a payment says by which method
await edge.emit({ topic: "pay.txn.v2", type: "requested", key: "o", payload: { amount: 1, currency: "TWD" } });
// @ts-expect-error an amount is a number
await edge.emit({ topic: "pay.txn.v2", type: "requested", key: "o", payload: { amount: "1", currency: "TWD", method: "cash" } });
// @ts-expect-error the contract has no such method
await edge.emit({ topic: "pay.txn.v2", type: "requested", key: "o", payload: { amount: 1, currency: "TWD", method: "barter" } });
// @ts-expect-error only the city says captured
await edge.emit({ topic: "pay.txn.v2", type: "captured", key: "o", payload: {} });
// @ts-expect-error this family is under contract, but not in this version
await edge.emit({ topic: "pay.txn.v9", type: "requested", key: "o", payload: {} });
// @ts-expect-error a ticket's scan names its gate
await edge.emit({ topic: "gate.auth.v2", type: "scanned", key: "t", payload: { ticketId: "t" } });
// @ts-expect-error a function is no JSON
await edge.emit({ topic: "stall.note.v1", type: "written", key: "n", payload: () => 1 });
// @ts-expect-error the outbox is opened, not made
new Edge();

const { verdict, problem } = await edge.settled(receipt.id, { signal: AbortSignal.timeout(1) });
const words: "accepted" | "duplicate" | "refused" | "discarded" = verdict;
const stop: () => void = edge.subscribe((snapshot) => {
  const backlog: number = snapshot.backlog;
  // @ts-expect-error a snapshot is a picture, not a handle
  snapshot.backlog.pause();
  void backlog;
});

try {
  await edge.redrive(1, { amount: 2 });
} catch (error) {
  if (isConchError(error) && error.code === "not-redrivable") console.log(error.retryable);
}
stop();
void [sequence, strict, problem, words];

async function together(edge: Edge): Promise<void> {
  const ticket = { collection: "tickets", key: "t-1" };
  const receipts = await edge.commit({
    expect: [{ ...ticket, absent: true }, { ...ticket, key: "t-2", equals: { used: false } }],
    put: [{ ...ticket, value: { used: true } }],
    remove: [{ ...ticket, key: "t-3" }],
    emit: [{ topic: "gate.auth.v2", type: "scanned", key: "t-1", payload: { gateId: "n1", ticketId: "t-1" } }],
  });
  receipts[0]?.id satisfies string | undefined;
  const found = await edge.records<{ used: boolean }>("tickets").get("t-1");
  found?.used satisfies boolean | undefined;
  // @ts-expect-error an expectation is one of the two
  await edge.commit({ expect: [{ ...ticket, absent: true, equals: 1 }], emit: [] });
  // @ts-expect-error records go in with an event
  await edge.commit({ put: [{ ...ticket, value: 1 }] });
}
void together;
