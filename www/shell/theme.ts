// The theme in use. The system's wish for contrast decides until a person does; a choice is remembered for all pages.
import { effect, signal } from "@preact/signals";
import { recall, remember } from "./store.ts";

export type Theme = "night" | "contrast";

const NAME = "conch.theme";
const wish = matchMedia("(prefers-contrast: more)");

function chosen(): Theme | null {
  const kept = recall(NAME);
  return kept === "night" || kept === "contrast" ? kept : null;
}

export const theme = signal<Theme>(chosen() ?? (wish.matches ? "contrast" : "night"));

export function switchTheme(): void {
  theme.value = theme.value === "night" ? "contrast" : "night";
  remember(NAME, theme.value);
}

/** Call before the first paint. The system's own bars take the ground's colour. */
export function wearTheme(): void {
  wish.addEventListener("change", () => {
    if (chosen() === null) theme.value = wish.matches ? "contrast" : "night";
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    const ground = getComputedStyle(document.documentElement).getPropertyValue("--ground").trim();
    document.querySelector("meta[name=theme-color]")?.setAttribute("content", ground);
  });
}
