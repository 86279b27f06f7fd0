// The sale being put together: lines, a half-typed amount, a method. Pure: each hand movement is a step from one draft
// to the next, so that steps of two tabs can follow each other on one row of the book.

import type { Row } from "../../shell/book.ts";
import { erased, typed } from "../../shell/figures.ts";
import { limits } from "./limits.ts";
import type { Method } from "./sale.ts";

/** A name in both languages of the page. */
export interface Named {
  "zh-Hant": string;
  en: string;
}

/** What is sold, so many times. A typed amount has no name. */
export interface Line {
  item: string;
  name: Named | null;
  /** Minor units. */
  price: number;
  count: number;
}

/** A hold that was asked for and not used yet. Asking again with the same two ids never holds twice. */
export interface Hold {
  order: string;
  intent: string;
}

export interface Draft extends Row {
  kind: "draft";
  lines: readonly Line[];
  /** Whole dollars on the keypad, beside the lines. */
  dollars: number;
  method: Method;
  hold: Hold | null;
}

export type Step = (draft: Draft) => Draft;

export const DRAFT_KEY = "draft";

export function emptyDraft(at: number): Draft {
  return { key: DRAFT_KEY, kind: "draft", at, lines: [], dollars: 0, method: "cash", hold: null };
}

export function totalOf({ lines, dollars }: Pick<Draft, "lines" | "dollars">): number {
  return lines.reduce((sum, { price, count }) => sum + price * count, dollars * 100);
}

/** What is sold, the half-typed amount as a line of its own. */
export function linesOf({ lines, dollars }: Pick<Draft, "lines" | "dollars">): readonly Line[] {
  return dollars === 0 ? lines : withMore(lines, typedLine(dollars * 100));
}

export function isEmpty(draft: Draft): boolean {
  return draft.dollars === 0 && draft.lines.length === 0;
}

/** Whether two drafts would charge the same. */
export function isSame(one: Draft, other: Draft): boolean {
  const content = ({ lines, dollars, method }: Draft): string => JSON.stringify([lines, dollars, method]);
  return content(one) === content(other);
}

/** A hold is for one amount: another content is another sale. */
function changed(draft: Draft, change: Partial<Draft>): Draft {
  const next = { ...draft, ...change };
  if (totalOf(next) > limits.saleMax) return draft;
  return isSame(next, draft) ? draft : { ...next, hold: null };
}

/** A line for an amount without a name, in minor units. */
export function typedLine(price: number): Line {
  return { item: `=${price / 100}`, name: null, price, count: 1 };
}

function withMore(lines: readonly Line[], line: Line): readonly Line[] {
  const known = lines.find(({ item, price }) => item === line.item && price === line.price);
  if (known === undefined) return [...lines, line];
  return lines.map((own) => (own === known ? { ...own, count: own.count + line.count } : own));
}

export const digits =
  (more: string): Step =>
  (draft) =>
    changed(draft, { dollars: typed(draft.dollars, more, limits.amountDigits) });

export const eraseOne: Step = (draft) => changed(draft, { dollars: erased(draft.dollars) });

export const eraseAll: Step = (draft) => changed(draft, { dollars: 0 });

/** The typed amount becomes a line, and the keypad is free for another. */
export const keepTyped: Step = (draft) => changed(draft, { lines: linesOf(draft), dollars: 0 });

export const choose =
  (method: Method): Step =>
  (draft) =>
    changed(draft, { method });

export const add =
  (line: Line): Step =>
  (draft) =>
    changed(draft, { lines: withMore(draft.lines, line) });

/** One more or one less of a line; none left is no line. */
export const count =
  (line: Pick<Line, "item" | "price">, more: 1 | -1): Step =>
  (draft) => {
    const lines = draft.lines.map((own) =>
      own.item === line.item && own.price === line.price ? { ...own, count: own.count + more } : own,
    );
    return changed(draft, { lines: lines.filter((own) => own.count > 0) });
  };

export const remove =
  (line: Pick<Line, "item" | "price">): Step =>
  (draft) =>
    changed(draft, { lines: draft.lines.filter((own) => own.item !== line.item || own.price !== line.price) });

export const empty: Step = (draft) => changed(draft, { lines: [], dollars: 0 });

export const held =
  (hold: Hold | null): Step =>
  (draft) => ({ ...draft, hold });
