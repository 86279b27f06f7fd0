// The till: one order key per sale, minted once and on disk before the outbox is asked, so that every further try,
// also after a killed tab, states the same intent.
import { computed, effect, signal, untracked } from "@preact/signals";
import type { DeadLetter, Edge, Receipt } from "conch-edge";
import { Book } from "../../shell/book.ts";
import { askOrder, askUntilKnown } from "../../shell/city.ts";
import { erased, typed } from "../../shell/figures.ts";
import { type Identity, tokenAtHand } from "../../shell/identity.ts";
import { limits } from "../../shell/limits.ts";
import { codeOf, edge, followLetters, snapshot } from "../../shell/outbox.ts";
import { afterOrder, afterVerdict, doubtAfter, type Method, noDoubt, type Sale } from "./sale.ts";

/** Whole dollars on the display. */
export const dollars = signal(0);
export const method = signal<Method>("cash");
/** The key of the sale whose card covers the keypad. */
export const shownKey = signal<string | null>(null);
/** The sale being charged: a second tap finds it here and is the same sale. */
const current = signal<Sale | null>(null);
const book = signal<Book<Sale> | null>(null);
export const sales = computed<readonly Sale[]>(() => book.value?.rows.value ?? []);
export const shown = computed(() => {
  const beingCharged = current.value?.key === shownKey.value ? current.value : null;
  return sales.value.find((sale) => sale.key === shownKey.value) ?? beingCharged;
});
/** Sales whose emit failed while this page was open: key to error code. */
const failed = signal<ReadonlyMap<string, string>>(new Map());
const doubtSequence = signal(0);
export const doubt = computed(() => ({ sequence: doubtSequence.value, failed: failed.value }));
/** True while a reload would disturb a sale. */
export const saleOpen = computed(() => dollars.value > 0 || sales.value.some((sale) => sale.state === "begun"));

const followed = new Set<string>();

export function digits(more: string): void {
  if (current.value === null) dollars.value = typed(dollars.value, more, limits.amountDigits);
}

export function eraseOne(): void {
  if (current.value === null) dollars.value = erased(dollars.value);
}

export function eraseAll(): void {
  if (current.value === null) dollars.value = 0;
}

export function choose(next: Method): void {
  if (current.value === null) method.value = next;
}

function noteFailure(key: string, code: string | null): void {
  const next = new Map(failed.value);
  if (code === null) next.delete(key);
  else next.set(key, code);
  failed.value = next;
}

async function keep(key: string, decide: (old: Sale) => Sale): Promise<void> {
  await book.value?.change(key, (old) => (old === undefined ? undefined : decide(old)));
}

/** Stores the sale in the outbox. Safe to repeat: the same key, amount and method are the same intent. */
async function store(outbox: Edge, sale: Sale, resumed: boolean): Promise<void> {
  const receipt = await outbox.emit({
    topic: "pay.txn.v2",
    type: "requested",
    key: sale.key,
    payload: { amount: sale.amount, currency: "TWD", method: sale.method },
  });
  noteFailure(sale.key, null);
  await keep(sale.key, (old) => stored(old, receipt, resumed));
}

function stored(old: Sale, receipt: Receipt, resumed: boolean): Sale {
  if (old.state !== "begun") return old;
  return { ...old, state: "saved", eventId: receipt.id, sequence: receipt.sequence, ...(resumed ? { resumed } : {}) };
}

/** Charges what is on the display. Every tap until the sale is stored is the same sale. */
export async function charge(): Promise<void> {
  const outbox = edge.value;
  const pages = book.value;
  if (outbox === null || pages === null || (current.value === null && dollars.value === 0)) return;
  const sale: Sale = current.value ?? {
    key: outbox.newKey("order"),
    at: Date.now(),
    amount: dollars.value * 100,
    method: method.value,
    state: "begun",
  };
  current.value = sale;
  shownKey.value = sale.key;
  try {
    await pages.put(sale);
    await store(outbox, sale, false);
    if (current.value?.key === sale.key) clearDisplay();
  } catch (error) {
    noteFailure(sale.key, codeOf(error));
  }
}

function clearDisplay(): void {
  current.value = null;
  dollars.value = 0;
  method.value = "cash";
}

export async function tryAgain(sale: Sale): Promise<void> {
  noteFailure(sale.key, null);
  if (current.value?.key === sale.key) return charge();
  const outbox = edge.value;
  if (outbox === null) return;
  try {
    await store(outbox, sale, false);
  } catch (error) {
    noteFailure(sale.key, codeOf(error));
  }
}

/** Closes a sale that was certainly not stored. */
export async function drop(sale: Sale): Promise<void> {
  await keep(sale.key, (old) => (old.state === "begun" ? { ...old, state: "given-up" } : old));
  noteFailure(sale.key, null);
  if (current.value?.key === sale.key) clearDisplay();
  shownKey.value = null;
}

export function nextSale(): void {
  if (current.value !== null) return;
  shownKey.value = null;
}

export function show(sale: Sale): void {
  if (current.value === null) shownKey.value = sale.key;
}

/** Waits for the city's word on a stored sale and writes it into the book; also long after a reload. */
async function follow(key: string): Promise<void> {
  const sale = book.value?.rows.value.find((row) => row.key === key);
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
  const order = await askUntilKnown(() => askOrder(key, tokenAtHand()));
  await keep(key, (old) => afterOrder(old, order));
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
  const pages = new Book<Sale>(`book-pos-${me.device}`);
  await pages.load();
  book.value = pages;
  effect(() => {
    for (const sale of sales.value) if (sale.state === "saved") void untracked(() => follow(sale.key));
  });
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
  followLetters({ redriven, discarded });
  for (const sale of pages.rows.value.filter((row) => row.state === "begun")) void resume(outbox, sale);
  await pages.trim();
}

/** A refusal that is sent again has a new event; one without an answer keeps its own. */
function redriven(letter: DeadLetter, receipt: Receipt): Promise<void> {
  followed.delete(receipt.id);
  return keep(letter.key, ({ reason: _, ...old }) => ({
    ...old,
    state: "saved",
    eventId: receipt.id,
    sequence: receipt.sequence,
  }));
}

function discarded(letter: DeadLetter): Promise<void> {
  return keep(letter.key, (old) => (old.eventId === letter.id ? { ...old, state: "given-up" } : old));
}
