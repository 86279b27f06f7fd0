// The gate: from a code to an event on disk, and from the city's word back to the list.
import { computed, effect, signal, untracked } from "@preact/signals";
import type { Edge } from "conch-edge";
import { Book } from "../../shell/book.ts";
import { askTicket, askUntilKnown } from "../../shell/city.ts";
import { ticketFrom } from "../../shell/figures.ts";
import { type Identity, tokenAtHand } from "../../shell/identity.ts";
import { limits } from "../../shell/limits.ts";
import { codeOf, edge, followLetters, ready } from "../../shell/outbox.ts";
import {
  afterTicket,
  afterVerdict,
  earlierScan,
  failedResult,
  isSameMovement,
  type Last,
  type Result,
  type Scan,
} from "./scan.ts";

/** What the field holds, typed by a finger or by a keyboard scanner. */
export const code = signal("");
export const result = signal<Result | null>(null);
const book = signal<Book<Scan> | null>(null);
export const scans = computed<readonly Scan[]>(() => book.value?.rows.value ?? []);
export const saving = computed(() => result.value?.kind === "saving");

/** Scans that are in the outbox before their row is in the book. */
const fresh = signal<Scan | null>(null);
let last: Last | null = null;
const followed = new Set<string>();

export function scanOf(key: string): Scan | null {
  return scans.value.find((scan) => scan.key === key) ?? (fresh.value?.key === key ? fresh.value : null);
}

/** Takes what the field holds as a ticket. */
export async function submit(me: Identity): Promise<void> {
  const input = code.value;
  code.value = "";
  if (input.trim() === "") return;
  const ticket = ticketFrom(input, limits.keyLength);
  if (ticket === null) {
    result.value = failedResult(input, "bad-key");
    return;
  }
  if (edge.value === null || !ready.value) {
    result.value = failedResult(ticket, "opening");
    return;
  }
  if (isSameMovement(last, ticket, performance.now(), limits.sameTicketMs)) {
    // While the first reading is still being stored its own result is on the way.
    if (last?.key) result.value = { kind: "same", key: last.key };
    return;
  }
  await take(edge.value, me, ticket);
}

async function take(outbox: Edge, me: Identity, ticket: string): Promise<void> {
  const mine: Last = { ticket, key: null, sinceMs: performance.now() };
  last = mine;
  result.value = { kind: "saving", ticket };
  const at = Date.now();
  try {
    const receipt = await outbox.emit({
      topic: "gate.auth.v2",
      type: "scanned",
      key: ticket,
      payload: { gateId: me.place, ticketId: ticket, scannedAt: at },
    });
    mine.key = receipt.id;
    const earlierAt = earlierScan(scans.value, ticket);
    const scan: Scan = {
      key: receipt.id,
      at,
      ticket,
      state: "saved",
      ...(earlierAt === undefined ? {} : { earlierAt }),
    };
    fresh.value = scan;
    // A later ticket may be on the screen already; it stays there.
    if (last === mine) result.value = { kind: "scan", key: scan.key };
    await book.value?.put(scan);
  } catch (error) {
    if (mine.key !== null) return;
    if (last === mine) last = null;
    result.value = failedResult(ticket, codeOf(error));
  }
}

async function keep(key: string, decide: (old: Scan) => Scan): Promise<void> {
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
  const ticket = await askUntilKnown(() => askTicket(scan.ticket, tokenAtHand()));
  await keep(scan.key, (old) => afterTicket(old, ticket));
}

export async function openGate(me: Identity): Promise<void> {
  const pages = new Book<Scan>(`book-scanner-${me.device}`);
  await pages.load();
  book.value = pages;
  effect(() => {
    for (const scan of scans.value) if (scan.state === "saved") void untracked(() => follow(scan));
  });
  followLetters({
    // A refusal that is sent again is a new event and a new row; the old row keeps its verdict.
    redriven: async (letter, receipt) => {
      followed.delete(receipt.id);
      await keep(letter.id, (old) => (receipt.id === letter.id ? { ...old, state: "saved" } : old));
      await pages.put({ key: receipt.id, at: Date.now(), ticket: letter.key, state: "saved" });
    },
    discarded: (letter) => keep(letter.id, (old) => ({ ...old, state: "given-up" })),
  });
  await pages.trim();
}
