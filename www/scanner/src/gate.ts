// The gate: from a code to a decision, to an event on disk, to a tone; and from the city's word back to the list.
import { computed, effect, signal, untracked } from "@preact/signals";
import { type Edge, isConchError } from "conch-edge";
import { Book } from "../../shell/book.ts";
import { askTicket, askUntilKnown } from "../../shell/city.ts";
import { type Identity, tokenAtHand } from "../../shell/identity.ts";
import { signedOut } from "../../shell/leaving.ts";
import { codeOf, edge, followLetters, ready } from "../../shell/outbox.ts";
import { type Claimed, claimTicket } from "./city.ts";
import { newEventId } from "./event-id.ts";
import { type Foreign, foreignIn } from "./foreign.ts";
import { cityNow, held, isUp, keepKnowing, LET_IN, letInHere, lookAtList, seenOf, sweep } from "./known.ts";
import { gateLimits } from "./limits.ts";
import { type First, type Judgement, judge, type Reason, type Shown } from "./rules.ts";
import {
  afterTicket,
  afterVerdict,
  failedResult,
  type Lately,
  movementOf,
  type Result,
  type Scan,
  type Sound,
  scannedEvent,
  soundOf,
  standingOf,
  usedElsewhere,
} from "./scan.ts";
import { checkSignature } from "./signature.ts";
import { play } from "./sound.ts";
import { digestOf, readCode } from "./ticket.ts";
import { took } from "./timing.ts";

/** What the field holds, typed by a finger or by a keyboard scanner. */
export const code = signal("");
export const result = signal<Result | null>(null);
/** Whether the result covers the screen. */
export const covers = signal(false);
const book = signal<Book<Scan> | null>(null);
export const scans = computed<readonly Scan[]>(() => book.value?.rows.value ?? []);
export const saving = computed(() => result.value?.kind === "saving");

/** Scans that are in the outbox before their row is in the book. */
const fresh = signal<Scan | null>(null);
/** Codes of the last seconds: two tickets in one hand are each read again and again. */
const recent = new Map<string, Lately>();
/** The one that was presented last: what comes of an earlier one does not take the screen from it. */
let latest: Lately | null = null;
/** Scans that were decided and could not be stored: the same ticket again is the same scan, also for the city. */
export const unstored = signal<ReadonlyMap<string, { event: string; at: number }>>(new Map());
/** Until when the city is not asked, on the page's monotonic clock. */
let restsUntil = 0;
const followed = new Set<string>();

function noteUnstored(ticket: string, how: { event: string; at: number } | null): void {
  const next = new Map(unstored.value);
  if (how === null) next.delete(ticket);
  else next.set(ticket, how);
  unstored.value = next;
}

/** A person says that nobody went in with them. */
export function dropUnstored(): void {
  unstored.value = new Map();
}

export function scanOf(key: string): Scan | null {
  return scans.value.find((scan) => scan.key === key) ?? (fresh.value?.key === key ? fresh.value : null);
}

let uncover: ReturnType<typeof setTimeout> | undefined;

/** Puts it over the whole screen, whatever was there. The tone comes with it and never before. */
export function show(next: Result, tune: Sound | null): void {
  result.value = next;
  covers.value = true;
  clearTimeout(uncover);
  uncover = setTimeout(() => {
    covers.value = false;
  }, gateLimits.resultShownMs);
  if (tune !== null) play(tune);
}

export function next(): void {
  clearTimeout(uncover);
  covers.value = false;
}

/** A person is choosing: it stays until they did, or until the next ticket. */
export function hold(): void {
  clearTimeout(uncover);
}

/** Takes what the field holds. */
export async function submit(me: Identity): Promise<void> {
  const input = code.value.trim();
  code.value = "";
  if (input !== "") await present(me, input, { byCamera: false, seenAt: performance.now() });
  else next();
}

/** Somebody presents a code. */
export async function present(me: Identity, text: string, how: { byCamera: boolean; seenAt: number }): Promise<void> {
  const code = text.trim();
  const outbox = edge.value;
  if (outbox === null || !ready.value) return show({ kind: "error", ticket: "", code: "opening" }, "stop");
  const nowMs = performance.now();
  for (const [old, { seenMs }] of recent) if (nowMs - seenMs > gateLimits.sameTicketMs) recent.delete(old);
  const before = recent.get(code);
  const movement = movementOf(before, { byCamera: how.byCamera, nowMs }, gateLimits);
  if (movement !== "new" && before !== undefined) return again(before, movement, nowMs);
  const mine: Lately = { key: null, answer: null, sinceMs: nowMs, seenMs: nowMs };
  recent.set(code, mine);
  latest = mine;
  const shown = await recognise(code);
  took("check", nowMs);
  if (shown.kind !== "foreign" && shown.kind !== "unknown-key") {
    const stored = await take(outbox, me, shown, mine, how.seenAt);
    if (!stored) recent.delete(code);
    return;
  }
  // Perhaps the list is older than the key.
  if (shown.kind === "unknown-key") void lookAtList().catch(() => undefined);
  mine.answer = shown.kind === "foreign" ? { kind: "not-ticket", what: shown.what, length: code.length } : shown;
  show(mine.answer, "stop");
}

function again(before: Lately, movement: "held" | "same", nowMs: number): void {
  before.seenMs = nowMs;
  if (movement === "held") return;
  latest = before;
  // While the first reading is still being stored its own result is on the way.
  if (before.key !== null) show({ kind: "same", key: before.key }, "same");
  else if (before.answer !== null) show(before.answer, "stop");
}

type Recognised = Shown | { kind: "foreign"; what: Foreign | "forged" } | { kind: "unknown-key" };

/** Is it ours, and genuine? */
async function recognise(text: string): Promise<Recognised> {
  const signed = readCode(text);
  if (signed === null) {
    const what = foreignIn(text);
    return what === null ? { kind: "plain", ticket: text } : { kind: "foreign", what };
  }
  const authenticity = await checkSignature(signed, held.value?.list.keys ?? []);
  if (authenticity === "unknown-key") return { kind: "unknown-key" };
  if (authenticity === "forged") return { kind: "foreign", what: "forged" };
  const { ticket, validFrom, validUntil } = signed;
  return { kind: "signed", ticket, validFrom, validUntil };
}

async function judgeHere(outbox: Edge, gate: string, shown: Shown): Promise<Judgement> {
  const digest = await digestOf(shown.ticket);
  const [here, seen] = await Promise.all([letInHere(outbox, shown.ticket), seenOf(outbox, digest)]);
  const freedAt = seen !== null && "freed" in seen ? seen.at : null;
  const told = seen !== null && "place" in seen ? seen : null;
  const elsewhere = told ?? usedElsewhere(scans.value, shown.ticket, freedAt);
  return judge(shown, { list: held.value?.list ?? null, digest, gate, now: cityNow(), here, elsewhere });
}

/** Asks the city once where that has a chance. Null: the gate decides alone. */
async function askCity(claim: Parameters<typeof claimTicket>[0]): Promise<Claimed | null> {
  const token = tokenAtHand();
  if (token === null || !isUp.value || !navigator.onLine) return null;
  if (performance.now() < restsUntil) return null;
  const answer = await claimTicket(claim, token);
  if (answer === null) restsUntil = performance.now() + gateLimits.claimRestMs;
  return answer;
}

interface Decided {
  decision: "admitted" | "refused";
  reason?: Reason;
  first?: First;
  /** The city said so. */
  confirmed: boolean;
}

function decided(local: Judgement, city: Claimed | null): Decided {
  if (local.decision === "refused") {
    const { reason, first } = local;
    return { decision: "refused", reason, ...(first && { first }), confirmed: false };
  }
  if (city?.decision === "admit") return { decision: "admitted", confirmed: true };
  if (city !== null) {
    return { decision: "refused", reason: city.reason, ...(city.first && { first: city.first }), confirmed: true };
  }
  if (local.decision === "unsure") return { decision: "refused", reason: "unverified", confirmed: false };
  return { decision: "admitted", confirmed: false };
}

/** Judges, writes and only then tells. False when nothing was stored. */
async function take(outbox: Edge, me: Identity, shown: Shown, mine: Lately, seenAt: number): Promise<boolean> {
  const { ticket } = shown;
  result.value = { kind: "saving", ticket };
  const now = Date.now();
  const { event, at } = unstored.value.get(ticket) ?? { event: newEventId(now), at: now };
  noteUnstored(ticket, { event, at });
  try {
    const judgingFrom = performance.now();
    const local = await judgeHere(outbox, me.place, shown);
    const askingFrom = took("judge", judgingFrom);
    const asks = local.decision !== "refused";
    const city = asks ? await askCity({ ticket, event, gate: me.place, at }) : null;
    const writingFrom = took("ask", askingFrom);
    const scan = await write(outbox, me.place, { key: event, at, ticket, ...rowOf(decided(local, city)) });
    took("write", writingFrom);
    noteUnstored(ticket, null);
    mine.key = scan.key;
    fresh.value = scan;
    // A later ticket may be on the screen already; it stays there.
    if (latest === mine) show({ kind: "scan", key: scan.key }, soundOf(standingOf(scan, me.place)));
    took("whole", seenAt);
    // Once signed out the book stays empty; what became of the scan is the outbox's.
    if (!signedOut.value) await book.value?.put(scan);
    return true;
  } catch (error) {
    // What is stored is stored, even if the page's own list could not take it.
    if (mine.key !== null) return true;
    const failed = failedResult(ticket, codeOf(error));
    // It was stored after all, with another decision: the next scan of it is another one. Or it is no ticket at all.
    if (codeOf(error) === "conflict" || failed.kind === "not-ticket") noteUnstored(ticket, null);
    if (latest === mine) show(failed, "stop");
    return false;
  }
}

function rowOf({ decision, reason, first, confirmed }: Decided): Pick<Scan, "state" | "decision" | "reason" | "first"> {
  const state = confirmed && decision === "admitted" ? "admitted" : "saved";
  return { state, decision, ...(reason && { reason }), ...(first && { first }) };
}

/** Event and record in one transaction: that a ticket was used and the scan that says so cannot come apart. */
async function write(outbox: Edge, gate: string, scan: Scan): Promise<Scan> {
  const { key: id, at, ticket } = scan;
  const event = { ...scannedEvent(gate, scan), id };
  if (scan.decision === "refused") {
    await outbox.emit(event);
    return scan;
  }
  const record = { collection: LET_IN, key: ticket };
  try {
    await outbox.commit({
      expect: [{ ...record, absent: true }],
      put: [{ ...record, value: { place: gate, at, id } }],
      emit: [event],
    });
    return scan;
  } catch (error) {
    if (!isConchError(error) || error.code !== "guard-failed") throw error;
    // Another tab of this gate was faster with the same ticket.
    const first = (await letInHere(outbox, ticket)) ?? { place: gate, at };
    const state = "saved";
    return write(outbox, gate, { ...scan, state, decision: "refused", reason: "duplicate", first });
  }
}

/** From here on the codes of a scan stand for another one; for none, and they may be presented anew. */
export function readAs(key: string, other: string | null): void {
  for (const [code, lately] of recent) {
    if (lately.key !== key) continue;
    if (other === null) recent.delete(code);
    else lately.key = other;
  }
}

/** Puts one scan in the place of another, which stays in the list as what it was. */
export async function replace(old: Scan, by: Scan): Promise<void> {
  readAs(old.key, by.key);
  fresh.value = by;
  show({ kind: "scan", key: by.key }, "accepted");
  if (signedOut.value) return;
  await book.value?.changeAll([old.key, by.key], ([before]) => [before && { ...before, overruled: true }, by]);
}

export async function keep(key: string, decide: (old: Scan) => Scan): Promise<void> {
  await book.value?.change(key, (old) => (old === undefined ? undefined : decide(old)));
}

/** Waits for the city's word on a stored scan and writes it into the book; also long after a reload. */
async function follow(scan: Scan): Promise<void> {
  const outbox = edge.value;
  if (outbox === null || followed.has(scan.key)) return;
  followed.add(scan.key);
  try {
    const verdict = await outbox.settled(scan.key);
    await keep(scan.key, (old) => afterVerdict(old, verdict));
    if (verdict.verdict === "refused" || verdict.verdict === "discarded") return;
  } catch (error) {
    // The outbox may have forgotten an old event; the city still knows the ticket.
    if (codeOf(error) !== "not-found") return void followed.delete(scan.key);
  }
  // Of who was not let in there is nothing more to hear.
  if (scan.decision === "refused" || scan.state === "admitted") return;
  const ticket = await askUntilKnown(() => askTicket(scan.ticket, tokenAtHand()));
  await keep(scan.key, (old) => afterTicket(old, ticket));
}

/** Whether the city still has something to say about it: its verdict, and who was admitted with the ticket. */
function isOpen({ state, decision, accepted }: Scan): boolean {
  return (
    (state === "saved" && !(accepted && decision === "refused")) || (state === "admitted" && !accepted && !!decision)
  );
}

/** Forgets every scan, here and on disk. */
export function wipeScans(): Promise<void> {
  dropUnstored();
  recent.clear();
  latest = null;
  fresh.value = null;
  result.value = null;
  next();
  return book.value?.wipe() ?? Promise.resolve();
}

export async function openGate(outbox: Edge, me: Identity): Promise<void> {
  const pages = new Book<Scan>(`book-scanner-${me.device}`);
  await Promise.all([pages.load(), keepKnowing(me.device)]);
  book.value = pages;
  effect(() => {
    for (const scan of scans.value) if (isOpen(scan)) void untracked(() => follow(scan));
  });
  followLetters({
    // A refusal that is sent again is a new event and a new row; the old row keeps its verdict.
    redriven: async (letter, receipt) => {
      followed.delete(receipt.id);
      const { decision, reason, first } = scanOf(letter.id) ?? {};
      await keep(letter.id, (old) => (receipt.id === letter.id ? { ...old, state: "saved" } : old));
      const said = { ...(decision && { decision }), ...(reason && { reason }), ...(first && { first }) };
      await pages.put({ key: receipt.id, at: Date.now(), ticket: letter.key, state: "saved", ...said });
    },
    discarded: (letter) => keep(letter.id, (old) => ({ ...old, state: "given-up" })),
  });
  await pages.trim();
  void sweep(outbox).catch(() => undefined);
}
