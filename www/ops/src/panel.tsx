// What all panels share: a frame with a heading, rows that fold, and ages by the city's clock.
import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import type { Tone } from "../../shell/glyph.tsx";
import { ageOf } from "./judge.ts";
import { limits } from "./limits.ts";
import { cityNow, isStale } from "./live.ts";
import { words } from "./words/index.ts";

interface Frame {
  id: string;
  title: string;
  /** Said beside the title, such as how much is not listed. */
  aside?: string | null;
  children: ComponentChildren;
}

export function Panel({ id, title, aside, children }: Frame): JSX.Element {
  return (
    <section class="panel" id={id} aria-labelledby={`${id}-title`} data-testid={`panel-${id}`}>
      <header class="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {aside != null && <span class="fine">{aside}</span>}
      </header>
      {children}
    </section>
  );
}

export function None(): JSX.Element {
  return <p class="fine">{words.value.board.none}</p>;
}

/** The first rows, and the others behind a word that says how many they are. What is folded away costs nothing. */
export function Rows<T>({ all, row }: { all: readonly T[]; row: (one: T) => JSX.Element }): JSX.Element {
  const [open, setOpen] = useState(false);
  const rest = all.slice(limits.rows);
  return (
    <>
      <ul class="rows">{all.slice(0, limits.rows).map(row)}</ul>
      {rest.length > 0 && (
        <details open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>{words.value.board.fold(rest.length)}</summary>
          {open && <ul class="rows">{rest.map(row)}</ul>}
        </details>
      )}
    </>
  );
}

/** How much of a list is there, when it is not all. */
export function shownOf(shown: number, total: number, say = number): string | null {
  return shown < total ? words.value.board.more(shown, say(total)) : null;
}

/** Nothing is well for sure while the city is not heard. */
export function sure(tone: Tone): Tone {
  return tone === "good" && isStale.value ? "doubt" : tone;
}

/** How long ago it was, by the city's clock. */
export function ago(at: number): string {
  return words.value.ago(ageOf(cityNow.value - at));
}

/** A count the city may have stopped at. */
export function counted(count: number): string {
  return count >= limits.countedMost ? words.value.board.atLeast(number(limits.countedMost)) : number(count);
}

export function number(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
