// What lies on the till's own disk: sales, the draft being put together and the menu, in one book. What a finger does
// shows at once and is written behind it, step by step, so that a killed tab loses nothing and two tabs show the same.
import { batch, computed, effect, signal } from "@preact/signals";
import { Book } from "../../shell/book.ts";
import { DRAFT_KEY, type Draft, emptyDraft, isSame, type Step } from "./cart.ts";
import { MARKET_KEY, type Market } from "./market.ts";
import type { Sale } from "./sale.ts";

/** A row without a kind is a sale. */
export type Entry = Sale | Draft | Market;

const book = signal<Book<Entry> | null>(null);
const rows = computed<readonly Entry[]>(() => book.value?.rows.value ?? []);

export const sales = computed(() => rows.value.filter((row): row is Sale => !("kind" in row)));
export const market = computed(() => rows.value.find((row): row is Market => row.key === MARKET_KEY) ?? null);
const kept = computed(() => rows.value.find((row): row is Draft => row.key === DRAFT_KEY) ?? emptyDraft(0));

/** The draft on disk, and the steps that are not there yet, oldest first. They change together. */
const base = signal(emptyDraft(0));
const ahead = signal<readonly Step[]>([]);
export const draft = computed(() => ahead.value.reduce((before, next) => next(before), base.value));

effect(() => {
  // While steps are being written the row may hold them already; then both change when the write has ended.
  const row = kept.value;
  if (ahead.peek().length === 0) base.value = row;
});

let writing: Promise<void> | null = null;

export async function openDesk(name: string): Promise<void> {
  const fresh = new Book<Entry>(name);
  await fresh.load();
  book.value = fresh;
}

export function trimDesk(): Promise<void> {
  return book.value?.trim() ?? Promise.resolve();
}

export function wipeDesk(): Promise<void> {
  return book.value?.wipe() ?? Promise.resolve();
}

/** Takes a step: on the screen now, on disk in its turn. */
export function take(next: Step): void {
  ahead.value = [...ahead.value, next];
  void written().catch(() => undefined);
}

/** Resolves when every step is on disk. */
export function written(): Promise<void> {
  if (ahead.value.length === 0 || book.value === null) return Promise.resolve();
  writing ??= write();
  return writing;
}

async function write(): Promise<void> {
  try {
    while (ahead.value.length > 0) {
      const steps = ahead.value;
      await change(DRAFT_KEY, (old) => {
        const before = old !== undefined && "kind" in old && old.kind === "draft" ? old : emptyDraft(0);
        return { ...steps.reduce((draft, next) => next(draft), before), at: Date.now() };
      });
      batch(() => {
        ahead.value = ahead.value.slice(steps.length);
        base.value = kept.value;
      });
    }
  } finally {
    writing = null;
  }
}

async function change(key: string, decide: (old: Entry | undefined) => Entry | undefined): Promise<void> {
  await book.value?.change(key, decide);
}

/** Changes a sale that is in the book. */
export function keep(key: string, decide: (old: Sale) => Sale): Promise<void> {
  return change(key, (old) => (old === undefined || "kind" in old ? undefined : decide(old)));
}

export function keepMarket(next: Market): Promise<void> {
  return change(MARKET_KEY, () => next);
}

/**
 * The draft becomes a sale and is empty again, in one transaction: a killed tab has either the cart or the sale. False
 * when the cart is not what it was on this screen, because another tab was faster.
 */
export async function becomeSale(seen: Draft, sale: Sale): Promise<boolean> {
  let became = false;
  await book.value?.changeAll([DRAFT_KEY, sale.key], ([old, twin]) => {
    became = twin === undefined && old !== undefined && "kind" in old && old.kind === "draft" && isSame(old, seen);
    return became ? [emptyDraft(sale.at), sale] : [];
  });
  return became;
}
