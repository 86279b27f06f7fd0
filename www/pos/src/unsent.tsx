// The list of what is unsent: every row with how it stands, its tries, the next one, and what was last heard.
import { signal } from "@preact/signals";
import type { Owed } from "conch-edge";
import type { JSX } from "preact";
import { money, shortKey } from "../../shell/figures.ts";
import { Glyph } from "../../shell/glyph.tsx";
import { edge, sendNow, snapshot } from "../../shell/outbox.ts";
import { Sheet } from "../../shell/sheet.tsx";
import { words as shellWords, timeOf } from "../../shell/words/index.ts";
import { sales } from "./desk.ts";
import { owed } from "./owing.ts";
import { isMethod, standingOf } from "./sale.ts";
import { doubt } from "./till.ts";
import { words } from "./words/index.ts";

const open = signal(false);

export function showUnsent(): void {
  open.value = true;
}

/** Where a row stands. Tried and not unknown: the try ended without reaching the city. */
type OwedState = "waits" | "unknown" | "unanswered";

/** The word of a sale is the one on its card: the outbox alone does not know that a try never left the phone. */
function stateOf({ key, unknown, tries }: Owed): OwedState {
  const sale = sales.value.find((own) => own.key === key);
  const doubtful = sale === undefined ? unknown : standingOf(sale, doubt.value) === "unknown";
  if (doubtful) return "unknown";
  return tries === 0 ? "waits" : "unanswered";
}

function OwedRow({ row }: { row: Owed }): JSX.Element {
  const say = words.value;
  const { amount, method } = row.payload;
  const state = stateOf(row);
  const tone = state === "unknown" ? "doubt" : "wait";
  return (
    <li class="letter" data-testid="owed-row" data-key={row.key} data-state={state} data-tries={row.tries}>
      <p class="letter-head">
        <span class={`row-sign ink-${tone}`}>
          <Glyph tone={tone} size="small" />
        </span>
        <strong>{typeof amount === "number" ? money(amount) : say.unsent.other}</strong>
        <span>{isMethod(method) ? say.methods[method] : row.topic}</span>
      </p>
      <p>
        {say.unsent[state]} · {say.unsent.tries(row.tries)}
      </p>
      <p class="fine">
        {say.unsent.storedAt(timeOf(row.storedAt))} · {say.number} {shortKey(row.key)}
      </p>
    </li>
  );
}

/** What holds for all rows: how the city last answered, what happens next and when. */
function Outlook(): JSX.Element | null {
  const seen = snapshot.value;
  if (seen === null) return null;
  const say = words.value.unsent;
  const { link, why } = shellWords.value;
  return (
    <p class="note" data-testid="unsent-outlook" data-why={seen.whyNotSending}>
      {say.lastAnswer(link[seen.link])} · {why[seen.whyNotSending]}
      {seen.nextWakeAt !== null && seen.backlog > 0 && ` · ${say.next(timeOf(seen.nextWakeAt))}`}
    </p>
  );
}

export function UnsentSheet(): JSX.Element {
  const say = words.value.unsent;
  return (
    <Sheet open={open} name="unsent" title={say.title} close={say.close}>
      <Outlook />
      <button
        type="button"
        class="plain wide tall"
        data-testid="unsent-send"
        disabled={edge.value === null}
        onClick={sendNow}
      >
        {say.sendNow}
      </button>
      <p class="fine">{say.sendHint}</p>
      {owed.value.length === 0 ? (
        <p data-testid="unsent-empty">{say.empty}</p>
      ) : (
        <ul class="letters">
          {owed.value.map((row) => (
            <OwedRow key={row.sequence} row={row} />
          ))}
        </ul>
      )}
    </Sheet>
  );
}
