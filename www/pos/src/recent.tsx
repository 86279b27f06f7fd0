// The recent sales, newest first; a tap shows the sale again. Above them what got no money and waits for a person: that is
// no dead letter, for the city took the event, and the badge of dead letters does not count it.
import type { JSX } from "preact";
import { money } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import { limits } from "../../shell/limits.ts";
import { briefTimeOf } from "../../shell/words/index.ts";
import { sales } from "./desk.ts";
import { standingOf, toneOf } from "./sale.ts";
import * as till from "./till.ts";
import { wordOfSale } from "./wording.ts";
import { words } from "./words/index.ts";

export function FailedNote(): JSX.Element | null {
  const failed = till.failures.value;
  const [first] = failed;
  if (first === undefined) return null;
  return (
    <button type="button" class="tone-warn wide" data-testid="failures" onClick={() => till.show(first)}>
      <Glyph tone="warn" size="small" />
      {words.value.failures(failed.length)}
    </button>
  );
}

export function Recent(): JSX.Element {
  const say = words.value;
  const rows = sales.value.slice(0, limits.rowsShown);
  return (
    <section class="recent">
      <h2>{say.recent}</h2>
      {rows.length === 0 && <p class="fine">{say.recentEmpty}</p>}
      <ul data-testid="sales">
        {rows.map((sale) => {
          const standing = standingOf(sale, till.doubt.value);
          return (
            <li key={sale.key}>
              <button
                type="button"
                class="row"
                data-testid="sale-row"
                data-key={sale.key}
                data-standing={standing}
                onClick={() => till.show(sale)}
              >
                <span class={`row-sign ink-${toneOf[standing]}`}>
                  <Glyph tone={toneOf[standing]} size="small" />
                </span>
                <span class="row-main">{money(sale.amount)}</span>
                <span class="row-word">{wordOfSale(sale, standing)}</span>
                <time class="row-time">{briefTimeOf(sale.at)}</time>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
