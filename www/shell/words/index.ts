// The language in use. Chinese first; a choice is remembered for both pages.
import { computed, effect, signal } from "@preact/signals";
import { recall, remember } from "../store.ts";
import { en } from "./en.ts";
import { type Words, zhHant } from "./zh-Hant.ts";

export type { Words };
export type Language = "zh-Hant" | "en";

const NAME = "conch.language";
const catalogues: Record<Language, Words> = { "zh-Hant": zhHant, en };

export const language = signal<Language>(recall(NAME) === "en" ? "en" : "zh-Hant");
export const words = computed(() => catalogues[language.value]);

const dayAndTime = { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" } as const;
const clocks = computed(() => {
  const locale = language.value === "en" ? "en-GB" : "zh-TW";
  const exact = new Intl.DateTimeFormat(locale, { timeStyle: "medium", hourCycle: "h23" });
  const brief = new Intl.DateTimeFormat(locale, { timeStyle: "short", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(locale, { ...dayAndTime, hourCycle: "h23" });
  return { exact, brief, day };
});

export function switchLanguage(): void {
  language.value = language.value === "en" ? "zh-Hant" : "en";
  remember(NAME, language.value);
}

export function speakAs(page: keyof Words["title"]): void {
  effect(() => {
    document.documentElement.lang = language.value;
    document.title = words.value.title[page];
  });
}

/** To the second, for what a person may have to tell somebody else. */
export function timeOf(at: number): string {
  return clocks.value.exact.format(at);
}

/** To the minute, for lists. */
export function briefTimeOf(at: number): string {
  return clocks.value.brief.format(at);
}

/** With its day, for what may have begun before midnight. */
export function dayTimeOf(at: number): string {
  return clocks.value.day.format(at);
}

/** Plain words for a problem document's type, or null when the catalogue has none. */
export function wordsOfProblem(type: string | undefined): string | null {
  const code = (type ?? "").split(":").pop()?.replaceAll("-", "_") ?? "";
  return words.value.problem[code] ?? null;
}

/** Plain words for a notice of the outbox. */
export function wordsOfNotice(kind: "fault" | "storage" | "identity", code: string): string {
  const { trouble, error } = words.value;
  if (kind !== "storage") return trouble[kind];
  return trouble.codes[code] ?? `${trouble.storage} ${error[code] ?? ""}`.trim();
}

export function wordsOfError(code: string): string {
  return words.value.error[code] ?? code;
}
