// The till: one order key per sale, minted when a person charges and on disk with the sale before the outbox is asked, so
// that every further try, also after a killed tab, states the same intent.
import { computed, effect, signal, untracked } from "@preact/signals";
import type { DeadLetter, Edge, Receipt } from "conch-edge";
import { askOrder, askUntilKnown } from "../../shell/city.ts";
import { now } from "../../shell/clock.ts";
import { nudge } from "../../shell/events.ts";
import { type Identity, tokenAtHand } from "../../shell/identity.ts";
import { codeOf, edge, followLetters, snapshot } from "../../shell/outbox.ts";
import { type Cap, capOf } from "./caps.ts";
import { type Draft, empty, type Hold, held, isEmpty, isSame, linesOf, type Step, totalOf } from "./cart.ts";
import { becomeSale, draft, keep, openDesk, sales, take, trimDesk, written } from "./desk.ts";
import { askHold, type HoldAnswer } from "./hold.ts";
import { limits } from "./limits.ts";
import { fuel, watchOwed } from "./owing.ts";
import { twinOf } from "./repeat.ts";
import {
  afterOrder,
  afterVerdict,
  anotherWay,
  doubtAfter,
  isMethod,
  type Method,
  noDoubt,
  payloadOf,
  type Sale,
} from "./sale.ts";

/** The key of the sale whose card covers the keypad. */
export const shownKey = signal<string | null>(null);
/** The sale being charged: a second tap finds it here and is the same sale. */
const current = signal<Sale | null>(null);
/** Between the tap and the sale's row on disk. */
const charging = signal(false);
/** An earlier sale that what was seen may be a second tap of; a person is being asked. */
const repeated = signal<{ first: Sale; seen: Draft } | null>(null);
export const twin = computed(() => repeated.value?.first ?? null);
/** How asking for a hold stands; null while nobody asked. */
export const holding = signal<HoldAnswer["kind"] | "asking" | null>(null);
/** The cart was charged or changed in another tab between the look and the tap. */
export const overtaken = signal(false);

export const shown = computed(() => {
  const beingCharged = current.value?.key === shownKey.value ? current.value : null;
  return sales.value.find((sale) => sale.key === shownKey.value) ?? beingCharged;
});
/** Sales whose emit failed while this page was open: key to error code. */
const failed = signal<ReadonlyMap<string, string>>(new Map());
const doubtSequence = signal(0);
export const doubt = computed(() => ({ sequence: doubtSequence.value, failed: failed.value }));
/** True while a reload would disturb a sale. */
export const saleOpen = computed(() => !isEmpty(draft.value) || sales.value.some((sale) => sale.state === "begun"));
/** Known not to reach the city. Before anybody was asked nothing is known, and then it is not called offline. */
function isAway(): boolean {
  const link = snapshot.value?.link ?? "unknown";
  return !navigator.onLine || (link !== "up" && link !== "unknown");
}
/** Which cap forbids what is on the screen. */
export const cap = computed<Cap | null>(() => {
  const { method } = draft.value;
  return capOf({ amount: totalOf(draft.value), method, linked: !isAway() }, fuel.value);
});

/** Sales the city took without getting the money; they have no dead letter. */
export const failures = computed(() => sales.value.filter(({ state, failed }) => state === "attention" && failed));

const followed = new Set<string>();
let place = "";

/** A hand on keypad, menu or cart. */
export function step(next: Step): void {
  if (current.value !== null || charging.value || twin.value !== null || holding.value !== null) return;
  overtaken.value = false;
  take(next);
}

function noteFailure(key: string, code: string | null): void {
  const next = new Map(failed.value);
  if (code === null) next.delete(key);
  else next.set(key, code);
  failed.value = next;
}

/** Stores the sale in the outbox. Safe to repeat: the same key, attempt, amount and method are the same intent. */
async function store(outbox: Edge, sale: Sale, resumed: boolean): Promise<void> {
  const receipt = await outbox.emit({
    topic: "pay.txn.v2",
    type: "requested",
    key: sale.key,
    payload: payloadOf(sale),
    attempt: sale.attempt ?? 1,
  });
  noteFailure(sale.key, null);
  await keep(sale.key, (old) => stored(old, receipt, resumed));
}

function stored(old: Sale, receipt: Receipt, resumed: boolean): Sale {
  if (old.state !== "begun") return old;
  return { ...old, state: "saved", eventId: receipt.id, sequence: receipt.sequence, ...(resumed ? { resumed } : {}) };
}

/** Charges what is on the screen, unless it may be a second tap: then a person is asked first. */
export function charge(): void {
  const seen = draft.value;
  if (charging.value || current.value !== null || twin.value !== null || holding.value !== null) return;
  if (edge.value === null || totalOf(seen) === 0 || cap.value !== null) return;
  const first = twinOf({ amount: totalOf(seen), method: seen.method }, sales.value, Date.now());
  if (first !== null) repeated.value = { first, seen };
  else void go(seen);
}

/** It is another guest. */
export function chargeTwin(): void {
  const asked = repeated.value;
  repeated.value = null;
  // A second tap on the answer is no second sale.
  if (asked !== null) void go(asked.seen);
}

/** It was a second tap: nothing is charged, and the first sale is shown. */
export function dropTwin(): void {
  const asked = repeated.value;
  repeated.value = null;
  if (asked === null) return;
  take((old) => (isSame(old, asked.seen) ? empty(old) : old));
  shownKey.value = asked.first.key;
}

/** Back to the cart, with everything in it. */
export function closeTwin(): void {
  repeated.value = null;
}

async function go(seen: Draft): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  if (seen.method === "authorized_online") return authorize(outbox, seen);
  await sell(outbox, seen, { key: outbox.newKey("order") });
}

/** Asks the bank to hold the amount. The ids are on disk first, so that asking again never holds twice. */
async function authorize(outbox: Edge, seen: Draft): Promise<void> {
  holding.value = "asking";
  const hold: Hold = seen.hold ?? { order: outbox.newKey("order"), intent: crypto.randomUUID() };
  take(held(hold));
  try {
    await written();
  } catch {
    // What could not be noted is not asked for.
    holding.value = "away";
    return;
  }
  const wanted = { ...hold, amount: totalOf(seen) };
  const answer = await askHold(wanted, tokenAtHand(), limits.holdTimeoutMs);
  if (answer.kind !== "held") {
    // After a definite no the next asking is a new one.
    if (answer.kind !== "unknown" && answer.kind !== "away") take(held(null));
    holding.value = answer.kind;
    return;
  }
  holding.value = null;
  // What was asked for, not what another tab may have made of the cart meanwhile.
  await sell(outbox, seen, { key: hold.order, authRef: answer.authRef });
}

export function askHoldAgain(): void {
  if (holding.value === null || holding.value === "asking") return;
  holding.value = null;
  charge();
}

/** Another method instead. What may be held is let go by itself. */
export function leaveHold(): void {
  if (holding.value === "asking") return;
  holding.value = null;
  take(held(null));
}

async function sell(outbox: Edge, seen: Draft, named: { key: string; authRef?: string }): Promise<void> {
  const sale: Sale = {
    ...named,
    at: Date.now(),
    amount: totalOf(seen),
    method: seen.method,
    lines: linesOf(seen),
    stall: place,
    state: "begun",
    offline: isAway(),
  };
  charging.value = true;
  try {
    await written();
    if (!(await becomeSale(seen, sale))) {
      overtaken.value = true;
      return;
    }
    shownKey.value = sale.key;
    await store(outbox, sale, false);
    current.value = null;
  } catch (error) {
    current.value = sale;
    shownKey.value = sale.key;
    noteFailure(sale.key, codeOf(error));
  } finally {
    charging.value = false;
  }
}

/** Tries the same sale again, from where it failed. */
export async function tryAgain(sale: Sale): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  noteFailure(sale.key, null);
  const inBook = sales.value.some(({ key }) => key === sale.key);
  try {
    if (!inBook) await written();
    if (!inBook && !(await becomeSale(draft.value, sale))) {
      current.value = null;
      shownKey.value = null;
      overtaken.value = true;
      return;
    }
    await store(outbox, sale, false);
    if (current.value?.key === sale.key) current.value = null;
  } catch (error) {
    noteFailure(sale.key, codeOf(error));
  }
}

/** Closes a sale that was certainly not stored. */
export async function drop(sale: Sale): Promise<void> {
  await keep(sale.key, (old) => (old.state === "begun" ? { ...old, state: "given-up" } : old));
  noteFailure(sale.key, null);
  if (current.value?.key === sale.key) {
    current.value = null;
    take(empty);
  }
  shownKey.value = null;
}

/** The same order by another method, after the money could definitely not be taken. */
export async function takeAnotherWay(sale: Sale, method: Method): Promise<void> {
  const outbox = edge.value;
  if (outbox === null) return;
  const next = anotherWay(sale, method);
  await keep(sale.key, (old) => (old.state === "attention" && old.attempt === sale.attempt ? next : old));
  try {
    await store(outbox, next, false);
  } catch (error) {
    noteFailure(sale.key, codeOf(error));
  }
}

/** Nothing was taken, and nothing will be. */
export function giveUp(sale: Sale): Promise<void> {
  return keep(sale.key, (old) => (old.state === "attention" ? { ...old, state: "given-up" } : old));
}

export function nextSale(): void {
  if (current.value === null) shownKey.value = null;
}

export function show(sale: Sale): void {
  if (current.value === null) shownKey.value = sale.key;
}

/** Waits for the city's word on a stored sale and writes it into the book; also long after a reload. */
async function follow(key: string): Promise<void> {
  const sale = sales.value.find((row) => row.key === key);
  const outbox = edge.value;
  if (outbox === null || sale?.eventId === undefined || followed.has(sale.eventId)) return;
  followed.add(sale.eventId);
  try {
    const verdict = await outbox.settled(sale.eventId);
    await keep(key, (old) => afterVerdict(old, verdict));
    if (verdict.verdict === "refused" || verdict.verdict === "discarded") return;
  } catch (error) {
    // The outbox may have forgotten an old event; whether it is paid only the books can say.
    if (codeOf(error) !== "not-found") return void followed.delete(sale.eventId);
  }
  const order = await askUntilKnown(async () => {
    const answer = await askOrder(key, tokenAtHand());
    // The bank has not decided: that is not yet an answer.
    return answer.kind === "found" && answer.value.state === "pending" ? { kind: "unknown" } : answer;
  });
  await keep(key, (old) => afterOrder(old, order, Date.now()));
}

/** A sale cut off between book and outbox is stated again under its own key: it replays if it was stored. */
async function resume(outbox: Edge, sale: Sale): Promise<void> {
  shownKey.value = sale.key;
  try {
    await store(outbox, sale, true);
  } catch (error) {
    noteFailure(sale.key, codeOf(error));
  }
}

export async function openTill(outbox: Edge, me: Identity): Promise<void> {
  place = me.place;
  await openDesk(`book-pos-${me.device}`);
  watchOwed(outbox);
  effect(() => {
    for (const sale of sales.value) if (sale.state === "saved") void untracked(() => follow(sale.key));
  });
  watchDoubt();
  followLetters({ redriven, discarded });
  // What became of an order is known sooner when the city says so than by the next question.
  outbox.outcomes((event) => {
    if (event.topic.startsWith("pay.")) nudge();
  });
  for (const sale of sales.value.filter((row) => row.state === "begun")) void resume(outbox, sale);
  // A hold that was asked for when the page ended: whether the bank holds it is not known here.
  if (draft.value.hold !== null && draft.value.method === "authorized_online") holding.value = "unknown";
  now.value = Date.now();
  await trimDesk();
}

function watchDoubt(): void {
  let doubted = noDoubt;
  effect(() => {
    const seen = snapshot.value;
    if (seen === null) return;
    const highest = Math.max(0, ...untracked(() => sales.value).map((sale) => sale.sequence ?? 0));
    const asking = seen.whyNotSending === "sending";
    const unsent = !navigator.onLine || seen.whyNotSending === "held";
    doubted = doubtAfter(doubted, { unknown: seen.unknown, asking, unsent }, highest);
    doubtSequence.value = doubted.sequence;
  });
}

/** A refusal that is sent again has a new event; one without an answer keeps its own. */
function redriven(letter: DeadLetter, receipt: Receipt): Promise<void> {
  followed.delete(receipt.id);
  const { method } = letter.payload;
  return keep(letter.key, ({ reason: _, arrived: __, ...old }) => ({
    ...old,
    state: "saved",
    eventId: receipt.id,
    sequence: receipt.sequence,
    attempt: letter.reason === "expired" ? letter.attempt : letter.attempt + 1,
    ...(isMethod(method) ? { method } : {}),
  }));
}

function discarded(letter: DeadLetter): Promise<void> {
  return keep(letter.key, (old) => (old.eventId === letter.id ? { ...old, state: "given-up" } : old));
}

/** What the city could not read goes back into the cart, to be charged as a new sale. The old one must be given up. */
export function enterAgain(key: string): void {
  const sale = sales.value.find((row) => row.key === key);
  if (sale === undefined || !isEmpty(draft.value)) return;
  const lines = sale.lines ?? [{ item: `=${sale.amount / 100}`, name: null, price: sale.amount, count: 1 }];
  take((old) => ({ ...old, lines, method: sale.method, hold: null }));
  shownKey.value = null;
}
