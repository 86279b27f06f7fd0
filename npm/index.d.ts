/** An amount in integer minor units of its currency (120 TWD is 12000). 1 to 2^53 - 1. */
export type MinorUnits = number;
/** Milliseconds since 1970-01-01T00:00:00Z. */
export type UnixMillis = number;

/** What old tills name; the references are theirs. */
export interface PaymentV1 {
  txnId?: string;
  origTxnId?: string;
  dupTxnId?: string;
}

/** How the money came or will come: in hand, by a means confirmed elsewhere, later, or reserved while online. */
export type PaymentMethod = "cash" | "confirmed_elsewhere" | "promise" | "authorized_online";

/** What a till asks the city to record or capture. `authRef` is required for `authorized_online`. */
export interface PaymentRequestedV2 extends PaymentV1 {
  amount: MinorUnits;
  /** ISO 4217, three capital letters. */
  currency: string;
  method: PaymentMethod;
  stallId?: string;
  authRef?: string;
  reason?: string;
}

/** What old ticketing said: `ok` is 1 or 0. */
export interface GateAuthV1 {
  gate: string;
  code: string;
  ok: 0 | 1;
}

/** One look at one ticket. The city answers whether it admits. */
export interface GateScannedV2 {
  gateId: string;
  /** The same value as the event's key. */
  ticketId: string;
  /** What the gate did. Without it the city decides, and nobody may have been let in. */
  decision?: "admitted" | "refused";
  /** Why it let nobody in. */
  reason?: string;
  scannedAt?: UnixMillis;
  /** Where the ticket was used before, as far as the gate knew. */
  firstGateId?: string;
  firstAt?: UnixMillis;
}

/** The types a device may emit on the topics that have a contract. */
export interface Contracts {
  "pay.txn.v1": { requested: PaymentV1 };
  "pay.txn.v2": { requested: PaymentRequestedV2 };
  "gate.auth.v1": { verified: GateAuthV1; denied: GateAuthV1 };
  "gate.auth.v2": { scanned: GateScannedV2 };
}

/** What a payload may hold. A member that is `undefined` is left out, as `JSON.stringify` does. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
/** An object of JSON. */
export type JsonObject = { [member: string]: Json | undefined };

/**
 * A type of your own as what JSON keeps of it: `Jsonable<T>` takes a `T` that is JSON all through, an interface too, and
 * has `never` wherever it is not: functions, so every object with methods (`Date`, `Map`), `bigint`, symbols, and
 * `undefined` other than as a member.
 */
export type Jsonable<T> = T extends Json
  ? T
  : T extends undefined | bigint | symbol | Date | ((...given: never[]) => unknown)
    ? never
    : T extends readonly unknown[]
      ? { [I in keyof T]: Jsonable<T[I]> }
      : T extends object
        ? { [M in keyof T]: Jsonable<Exclude<T[M], undefined>> | Extract<T[M], undefined> }
        : never;

/** What every event has beside its topic, type and payload. */
interface EmitBase {
  /** The business key (order id, ticket id): decides the lane and the order. 1 to 128 printable ASCII characters. */
  key: string;
  /** Ties an event to the conversation it belongs to; by default the event's own id. */
  correlationId?: string;
  /** The event this one follows from. */
  causationId?: string;
  /**
   * On topics of your own, and where a contract says `caller`: what the person meant, unique per meaning. Two events with
   * the same one are one. Without it every event is meant anew.
   */
  intent?: string;
  /**
   * The event's id, a UUIDv7 drawn anew, where somebody had to name it before it was stored: a gate asks the city under
   * it. Not where the contract forms the intent (`pay.txn`), nor beside `intent`.
   */
  id?: string;
  /** Counts intents, not deliveries: 2 only after a definite refusal of 1. Default 1. */
  attempt?: number;
  /** W3C Trace Context of the start of this event. */
  traceparent?: string;
}

/** Events of topics under contract, one by one, so that the compiler checks each payload. */
type Contracted = {
  [T in keyof Contracts]: {
    [K in keyof Contracts[T]]: EmitBase & { topic: T; type: K; payload: Contracts[T][K] };
  }[keyof Contracts[T]];
}[keyof Contracts];

/** A topic of your own: any dotted name ending in its version that no contract claims. */
type Free<T extends string, P> = EmitBase & {
  topic: T extends keyof Contracts | `pay.${string}` | `gate.${string}` ? never : T;
  type: string;
  payload: P & Jsonable<P>;
};

/** What `emit` takes: `T` is the topic and `P` the payload of a topic of your own. */
export type Emit<T extends string = string, P = Json> = Contracted | Free<T, P>;

/** What `emit` returns once the event is safely on disk. */
export interface Receipt {
  /** The delivery identity, the same on every try, for ever. */
  id: string;
  /** What the person meant: equal for a second tap on the same sale. */
  intent: string;
  /** Place in this device's outbox, from 1. */
  sequence: number;
  /** What the database was asked for; a browser only echoes it. */
  durabilityRequested: "strict";
  storedAt: UnixMillis;
  /** True when this intent was stored before: nothing new was written. */
  replayed: boolean;
}

/** Names one of the application's own records. */
export interface RecordName {
  collection: string;
  /** Formed like an event's key. */
  key: string;
}

/** What must hold of a record; values are compared as JSON, whatever the order of their members. */
export type Expectation<V = Json> = RecordName &
  ({ absent: true; equals?: never } | { equals: V & Jsonable<V>; absent?: never });

/** A record to be written. */
export type Put<V = Json> = RecordName & { value: V & Jsonable<V> };

/** What `commit` takes: the events' topics `T`, and one by one their payloads `P` and the values of `put` and `expect`. */
export interface Commit<
  T extends string = string,
  P extends unknown[] = Json[],
  V extends unknown[] = Json[],
  X extends unknown[] = Json[],
> {
  /** When one does not hold, the commit is refused with `guard-failed`; others of the same moment are not. */
  expect?: { [I in keyof X]: Expectation<X[I]> };
  /** At most 64 KiB of JSON each. */
  put?: { [I in keyof V]: Put<V[I]> };
  remove?: RecordName[];
  /** The second half is where the topics are read from, so that each event is held against its own contract. */
  emit: { [I in keyof P]: Emit<T, P[I]> } & { topic: T }[];
}

/** One collection of the application's records, for reading. */
export interface Records<V = Json> {
  /** The record of a key, `undefined` when there is none. */
  get(key: string): Promise<V | undefined>;
  /** In the order of the keys, after a key, at most `limit` (default and most 1,000). */
  list(page?: { after?: string; limit?: number }): Promise<{ key: string; value: V }[]>;
}

/** The city's answer for one event, as `settled` gives it. */
export interface Verdict {
  id: string;
  verdict: "accepted" | "duplicate" | "refused" | "discarded";
  problem?: Problem;
}

/** RFC 9457. */
export interface Problem {
  type: string;
  title?: string;
  status?: number | null;
  detail?: string;
}

/** What the city says to this device: what became of an event, or something it should know. */
export interface Outcome {
  id: string;
  /** The event it answers. */
  causationId: string | null;
  correlationId: string | null;
  topic: string;
  type: string;
  key: string;
  /** RFC 3339, by the city's clock. */
  time: string | null;
  payload: Json;
}

/**
 * What is known of the way to the city. `captive`: a portal or proxy answers in its place. `misconfigured`: what answers
 * at this address is no city.
 */
export type Link = "unknown" | "up" | "down" | "captive" | "misconfigured";

/** Why nothing is under way at this moment. There is always an answer. */
export type WhyNotSending =
  | "nothing-owed" | "sending" | "paused" | "not-leader" | "opening" | "waiting-backoff" | "waiting-told"
  | "waiting-window" | "waiting-lane" | "held" | "needs-attention" | "storage-fault" | "closed";

/** The state of the outbox at one moment. */
export interface Snapshot {
  /** Events this device owes the city: the only honest badge. */
  backlog: number;
  /** Age of the oldest owed event, 0 when nothing is owed. */
  oldestMs: number;
  /** Bytes of the owed events. */
  bytes: number;
  /** Owed events that may have reached the city and have no verdict; those whose first try is under way are not among them. */
  unknown: number;
  /** Dead letters that wait for a person. */
  dead: number;
  /** Events that wait for credentials. */
  held: number;
  link: Link;
  /** Whether this page is the one that sends. */
  leader: boolean;
  paused: boolean;
  nextWakeAt: UnixMillis | null;
  whyNotSending: WhyNotSending;
  storage: StorageHealth;
}

/** What the browser says of the origin's storage, and what we found there. */
export interface StorageHealth {
  durabilityRequested: "strict";
  /** Whether the browser promised not to evict it; null where it does not say. */
  persisted: boolean | null;
  usage: number | null;
  quota: number | null;
  /**
   * `evicted`: this outbox began anew though an earlier one was seen here. `restored`: it is an older copy. Until a
   * `notices` listener was told. Windows only.
   */
  alarm: "evicted" | "restored" | null;
}

/** An event of this device. Its payload is what you gave `emit`: name your own type, or one that is no object, as `P`. */
export interface OwnEvent<P = JsonObject> {
  sequence: number;
  id: string;
  topic: string;
  type: string;
  key: string;
  attempt: number;
  payload: P;
}

/** An event that is owed. */
export interface Owed<P = JsonObject> extends OwnEvent<P> {
  storedAt: UnixMillis;
  /** Deliveries begun. */
  tries: number;
  /** Whether it may have reached the city and has no verdict; false while its first try is under way. */
  unknown: boolean;
}

/** An event that will not be delivered as it is and waits for a person: `redrive` or `discard`. */
export interface DeadLetter<P = JsonObject> extends OwnEvent<P> {
  at: UnixMillis;
  /** `refused`: the city said no to this event. `poison`: the city could not read it. `expired`: too old, no definite answer. */
  reason: "refused" | "poison" | "expired";
  problem: Problem | null;
}

/** Something worth telling that no call asked for. */
export interface Notice {
  kind: "dead-letter" | "link" | "fault" | "feed" | "storage" | "identity";
  code: string;
  detail: string;
  id?: string;
}

/** Where events go: to a city, or one by one to a server that knows nothing of us. */
export type Destination =
  | {
      /** Base address of the city, `"/"` for the page's own origin. */
      city: string;
      single?: never;
    }
  | {
      /**
       * Address of any server: each event is a POST of its payload with an `Idempotency-Key`, up to four at once, in
       * order per key. A 2xx settles it.
       */
      single: string;
      /** Statuses with a JSON body by which that server refuses an event for good. Default 400 and 422. */
      refused?: number[];
      city?: never;
    };

/** What `Edge.open` takes. */
export type OpenOptions = Destination & {
  /** 1 to 64 of a-z, 0-9 and `-`. */
  device: string;
  /** Called before the first send and after the city refused the last answer. Throw or return null to stay held. */
  credentials?: () => Promise<string | null> | string | null;
  /** Whether to listen to what the city says to this device (default true). */
  feed?: boolean;
  /**
   * Says what an event of the feed does to your records; they change in the transaction that remembers the event, so
   * once. Must answer at once. When it throws, the event changes nothing and a `feed` notice tells. That the values are
   * JSON all through is not checked by the compiler here.
   */
  apply?: (event: Outcome) => { put?: Put<Json | object>[]; remove?: RecordName[] } | undefined;
  /** Name of the database; the default holds one outbox per device of the origin. It belongs to the device it was created for. */
  database?: string;
  /**
   * Whether to have the origin's service worker woken by a sync event `conch` when something is owed and the network is
   * back (Background Sync, Chromium only; an extra, never the mechanism). The worker answers it with `deliver`.
   */
  sync?: boolean;
};

/** The `code` of a `ConchError`. */
export type ConchErrorCode =
  | "bad-option" | "bad-topic" | "bad-type" | "bad-key" | "bad-payload" | "bad-number" | "bad-intent" | "pii-in-key"
  | "too-large" | "quota" | "no-storage" | "storage-lost" | "storage-newer" | "storage-blocked" | "conflict" | "intent-closed"
  | "guard-failed" | "not-found" | "not-redrivable" | "closed" | "aborted" | "not-loaded" | "owed"
  | "fault";

/** What every call of this package rejects with, and throws. */
export interface ConchError extends Error {
  readonly name: "ConchError";
  readonly code: ConchErrorCode;
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean;
}
/** Tells the errors of this package from others. */
export function isConchError(error: unknown): error is ConchError;

/** An open outbox. Open one per device; further pages of the origin share what is on disk, and one of them sends. */
export class Edge {
  private constructor();
  /** Opens the outbox (creating it the first time) and starts to deliver what it owes. */
  static open(options: OpenOptions): Promise<Edge>;
  /** Resolves when the event is safely on disk, never before. */
  emit<T extends string, P>(event: Emit<T, P>): Promise<Receipt>;
  /**
   * Takes 1 to 100 events together with records of your own: all of it becomes durable, or nothing. A commit whose
   * events were all stored before is a replay: its receipts say so, and its records stay as they are by now.
   */
  commit<T extends string, P extends unknown[], V extends unknown[], X extends unknown[]>(
    commit: Commit<T, P, V, X>,
  ): Promise<Receipt[]>;
  /** The records of a collection, for reading: 1 to 40 of a-z, 0-9 and `_`. They are written by `commit`. */
  records<V = Json>(collection: string): Records<V>;
  /** The city's verdict for a receipt's id, also after a reload. */
  settled(id: string, options?: { signal?: AbortSignal }): Promise<Verdict>;
  /** Calls with each event the city says to this device, once it is on disk. Returns the way to stop. */
  outcomes(listener: (event: Outcome) => void): () => void;
  /** What the city said about one event, in order, also after a reload; kept for 60 days. */
  outcomesOf(id: string): Promise<Outcome[]>;
  /** The state at this moment. */
  snapshot(): Snapshot;
  /** Calls at once and after every change. Returns the way to stop. */
  subscribe(listener: (snapshot: Snapshot) => void): () => void;
  /** Calls with what is worth telling from now on. Returns the way to stop. */
  notices(listener: (notice: Notice) => void): () => void;
  /** Events that are owed, in their order, at most `limit` (default 100). */
  owed<P = JsonObject>(limit?: number): Promise<Owed<P>[]>;
  /** Oldest first, at most `limit` (default 100). */
  deadLetters<P = JsonObject>(limit?: number): Promise<DeadLetter<P>[]>;
  /**
   * Sends it again: after a refusal as a new event, which `payload` may correct. From then on follow the receipt's `id`.
   */
  redrive<P = Json>(sequence: number, payload?: P & Jsonable<P>): Promise<Receipt>;
  /** Gives it up for good. Its intent stays closed. */
  discard(sequence: number, reason: string): Promise<void>;
  /** Stops sending, also across reloads. Events are still taken in. */
  pause(): Promise<void>;
  /** Goes on sending. */
  resume(): Promise<void>;
  /** A person says "send now": skips the wait once. */
  flush(): void;
  /** A safe random key, for example `order-5K3Q…`. */
  newKey(prefix: string): string;
  /** Stops everything of this page, once what was begun on disk has ended. What is owed stays there. */
  close(): Promise<void>;
  /** Opens it again with the same options: after a `fault` notice, or to begin anew. This one is of no use any more. */
  reopen(): Promise<Edge>;
}

/**
 * For the `sync` event of a service worker, tag `conch`: sends what is owed unless a page of the origin does, and then
 * ends. Rejects when the next try is more than a minute away, so that the browser calls again.
 */
export function deliver(options: OpenOptions): Promise<void>;

/**
 * Loads the wasm; `Edge.open` does it for you. Idempotent; a failed load may be tried again. Without a source the entry
 * takes its own: the file beside it, or the bytes it holds.
 */
export function init(source?: URL | string | Response | BufferSource | WebAssembly.Module): Promise<void>;
