// The language in use, and the words that all pages share; each page has its own beside it. Chinese is always there and is
// what a page falls back on; English is fetched once somebody wants it. The choice is remembered for all pages.
import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { limits } from "../limits.ts";
import { recall, remember } from "../store.ts";
import { type Words, zhHant } from "./zh-Hant.ts";

export type Language = "zh-Hant" | "en";

const NAME = "conch.language";

export const language = signal<Language>("zh-Hant");

/** Fetch the English of every catalogue of this page. */
const englishOfAll: (() => Promise<void>)[] = [];

/** One catalogue, in the language in use. */
export function catalogue<C>(chinese: C, fetchEnglish: () => Promise<C>): ReadonlySignal<C> {
  let english = chinese;
  englishOfAll.push(async () => {
    english = await fetchEnglish();
  });
  return computed(() => (language.value === "en" ? english : chinese));
}

/** The catalogue of a part that comes later, in both languages at once: who asks for it need not wait twice. */
export function bothOf<C>(chinese: C, english: C): ReadonlySignal<C> {
  return computed(() => (language.value === "en" ? english : chinese));
}

export const words = catalogue<Words>(zhHant, async () => (await import("./en.ts")).en);

const dayAndTime = { month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" } as const;
const clocks = computed(() => {
  const locale = language.value === "en" ? "en-GB" : "zh-TW";
  const exact = new Intl.DateTimeFormat(locale, { timeStyle: "medium", hourCycle: "h23" });
  const brief = new Intl.DateTimeFormat(locale, { timeStyle: "short", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(locale, { ...dayAndTime, hourCycle: "h23" });
  return { exact, brief, day };
});

/** Whether the words were there; if not, the language stays as it is. */
async function speak(wanted: Language): Promise<boolean> {
  try {
    if (wanted === "en") await Promise.all(englishOfAll.map((fetchEnglish) => fetchEnglish()));
  } catch {
    return false;
  }
  language.value = wanted;
  return true;
}

export async function switchLanguage(): Promise<void> {
  const wanted = language.value === "en" ? "zh-Hant" : "en";
  if (await speak(wanted)) remember(NAME, wanted);
}

/** Settles once the remembered language is there, so that a page never starts in one and goes on in the other. */
export async function speakAs(page: keyof Words["title"]): Promise<void> {
  if (recall(NAME) === "en") {
    await Promise.race([speak("en"), new Promise((resolve) => setTimeout(resolve, limits.wordsMs))]);
  }
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

let problemsOfPage: ReadonlySignal<Readonly<Record<string, string>>> | null = null;

/** Adds the words for problems that only this page's events have. */
export function knowProblems(ofPage: typeof problemsOfPage): void {
  problemsOfPage = ofPage;
}

/** Plain words for a problem document's type, or null when the catalogue has none. */
export function wordsOfProblem(type: string | undefined): string | null {
  const code = (type ?? "").split(":").pop()?.replaceAll("-", "_") ?? "";
  return words.value.problem[code] ?? problemsOfPage?.value[code] ?? null;
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
