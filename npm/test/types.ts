// Compiled, never run: what the types must take and what they must refuse.
import { type Commit, Edge, isConchError, type Jsonable, type Receipt } from "conch-edge";
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

// A gate that asked the city under the event's id says so, and what it did.
const scan = { topic: "gate.auth.v2", type: "scanned", key: "t-1" } as const;
await edge.emit({
  ...scan,
  id: "0198c0de-7a31-7cc1-9d2e-5b8f0e6f2a11",
  payload: { gateId: "n1", ticketId: "t-1", decision: "refused", reason: "duplicate", firstGateId: "s1", firstAt: 1 },
});
// @ts-expect-error a gate lets in or it does not
await edge.emit({ ...scan, payload: { gateId: "n1", ticketId: "t-1", decision: "perhaps" } });

// A topic of one's own carries any JSON.
await edge.emit({ topic: "stall.note.v1", type: "written", key: "n-1", payload: { text: "tea", count: [1, 2] } });

// It may be a type of one's own, as long as that is JSON all through.
interface Dish {
  dish: string;
  note?: string;
  extras?: { name: string }[];
}
interface Guest {
  seat: number;
}
declare const dish: Dish;
declare const guest: Guest;
const order = { topic: "shop.order.v1", type: "made", key: "table-4" } as const;
await edge.emit({ ...order, payload: dish });
await edge.emit({ ...order, payload: [dish] });
await edge.emit({ ...order, payload: "soup" });
await edge.emit({ ...order, payload: { dish, note: undefined } });
await edge.emit({ ...order, payload: Math.random() < 0.5 ? dish : guest });
// @ts-expect-error a method is no JSON
await edge.emit({ ...order, payload: { dish, cook: () => 1 } });
// @ts-expect-error a date becomes text: say which
await edge.emit({ ...order, payload: { at: new Date() } });
// @ts-expect-error JSON has no long numbers
await edge.emit({ ...order, payload: { amounts: [1n] } });
// @ts-expect-error only a member can be left out
await edge.emit({ ...order, payload: [undefined] });
// @ts-expect-error an event has a payload, if only null
await edge.emit({ ...order, payload: undefined });
// @ts-expect-error nobody knows whether this is JSON
await edge.emit({ ...order, payload: {} as unknown });
// @ts-expect-error a map has nothing that JSON would write
await edge.emit({ ...order, payload: new Map([["soup", 1]]) });
// @ts-expect-error a misspelt option is found
await edge.emit({ ...order, payload: dish, intnet: "1" });

/** A helper for payloads of any type says what it takes. */
function make<P>(payload: P & Jsonable<P>): Promise<Receipt> {
  return edge.emit({ ...order, payload });
}
await make(dish);
// @ts-expect-error a function is no JSON here either
await make(() => 1);

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
  for (const letter of await edge.deadLetters()) await edge.redrive(letter.sequence, { ...letter.payload, amount: 1 });
  for (const letter of await edge.deadLetters<Dish>()) {
    await edge.redrive(letter.sequence, { ...letter.payload, dish: "rice" });
    // @ts-expect-error a correction is JSON too
    await edge.redrive(letter.sequence, { ...letter.payload, at: new Date() });
  }
  for (const { payload } of await edge.owed<Dish>()) payload.dish satisfies string;
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
  // Values and payloads may be types of one's own, each another one.
  await edge.commit({
    expect: [{ ...ticket, equals: dish }, { ...ticket, equals: guest }],
    put: [{ ...ticket, value: dish }, { ...ticket, value: guest }, { ...ticket, value: 1 }],
    emit: [{ ...order, payload: dish }, { ...order, topic: "shop.guest.v1", payload: guest }],
  });
  (await edge.records<Dish>("dishes").get("d-1"))?.dish satisfies string | undefined;
  const later: Commit = { emit: [{ ...order, payload: { dish: "soup" } }] };
  await edge.commit(later);
  // @ts-expect-error a date is no JSON in a record either
  await edge.commit({ put: [{ ...ticket, value: { at: new Date() } }], emit: [] });
  // @ts-expect-error nor in an expectation
  await edge.commit({ expect: [{ ...ticket, equals: { at: new Date() } }], emit: [] });
  // @ts-expect-error nor in an event
  await edge.commit({ emit: [{ ...order, payload: { at: new Date() } }] });
  // @ts-expect-error a contract holds in a commit too
  await edge.commit({ emit: [{ topic: "gate.auth.v2", type: "scanned", key: "t-1", payload: { ticketId: "t-1" } }] });
  // @ts-expect-error also beside other events
  await edge.commit({ emit: [{ ...order, payload: dish }, { topic: "pay.txn.v2", type: "requested", key: "o", payload: {} }] });
  // @ts-expect-error an expectation is one of the two
  await edge.commit({ expect: [{ ...ticket, absent: true, equals: 1 }], emit: [] });
  // @ts-expect-error records go in with an event
  await edge.commit({ put: [{ ...ticket, value: 1 }] });
}
void together;

await Edge.open({
  city: "/",
  device: "till-1",
  apply: ({ type, key }) => (type === "soldOut" ? { put: [{ collection: "dishes", key, value: dish }] } : undefined),
});
