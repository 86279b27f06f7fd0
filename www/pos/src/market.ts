// What the market says of its stalls: names and menus. Pure: what cannot be sold by it is left out, never guessed.
import type { Row } from "../../shell/book.ts";
import type { Named } from "./cart.ts";
import { limits } from "./limits.ts";

export interface Item {
  id: string;
  name: Named;
  /** Minor units. */
  price: number;
}

export interface Stall {
  id: string;
  name: Named;
  menu: readonly Item[];
}

/** The market as the till keeps it for a start without network. */
export interface Market extends Row {
  kind: "market";
  name: Named | null;
  stall: Stall | null;
}

export const MARKET_KEY = "market";

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A name in one language serves for both. */
function named(value: unknown): Named | null {
  if (!isObject(value)) return null;
  const text = (language: string): string => (typeof value[language] === "string" ? value[language] : "");
  const zh = text("zh-Hant") || text("en");
  return zh === "" ? null : { "zh-Hant": zh, en: text("en") || zh };
}

function item(value: unknown): Item | null {
  if (!isObject(value)) return null;
  const { id, price } = value;
  const name = named(value.name);
  const sells = typeof price === "number" && Number.isSafeInteger(price) && price > 0 && price <= limits.saleMax;
  return typeof id === "string" && id !== "" && name !== null && sells ? { id, name, price } : null;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The stall of this place, and null where the market names none. */
export function readMarket(answer: unknown, place: string, at: number): Market {
  const told = isObject(answer) ? answer : {};
  const own = list(told.stalls).find((stall) => isObject(stall) && stall.id === place);
  const stall = isObject(own) ? { id: place, name: named(own.name), menu: list(own.menu) } : null;
  const items = (stall?.menu ?? []).map(item).filter((one) => one !== null);
  const once = items.filter((one, index) => items.findIndex(({ id }) => id === one.id) === index);
  return {
    key: MARKET_KEY,
    kind: "market",
    at,
    name: named(told.name),
    stall:
      stall === null
        ? null
        : { id: place, name: stall.name ?? { "zh-Hant": place, en: place }, menu: once.slice(0, limits.menuItems) },
  };
}
