// The result: it covers the screen with colour, sign and word, says what to do, and gives way to the next scan at once.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { shortKey } from "../../shell/figures.ts";
import { Glyph, type Tone } from "../../shell/glyph.tsx";
import type { Identity } from "../../shell/identity.ts";
import { later } from "../../shell/later.tsx";
import { timeOf, wordsOfError, wordsOfProblem } from "../../shell/words/index.ts";
import * as gate from "./gate.ts";
import { now } from "./known.ts";
import { gateLimits } from "./limits.ts";
import { mayLetIn, mayTurnAway, type Scan, type Standing, standingOf, toneOf } from "./scan.ts";
import { words } from "./words/index.ts";

interface Card {
  standing: Standing | "saving" | "same" | "not-ticket" | "unknown-key" | "error";
  tone: Tone;
  word: string;
  hint: string;
  ticket: string;
  /** Said on the result itself: this gate decided alone. */
  offline: boolean;
  scan: Scan | null;
}

function hintOf(scan: Scan, standing: Standing): string {
  const say = words.value;
  const { first } = scan;
  switch (standing) {
    case "used-here":
      return say.usedHere(timeOf(first?.at ?? scan.at));
    case "used":
      return first === undefined ? say.todo.denied : say.usedAt(first.place, timeOf(first.at));
    case "doubled":
      return first === undefined ? "" : say.doubledAt(first.place, timeOf(first.at));
    case "saved":
      return scan.accepted ? say.todo.savedAccepted : say.todo.saved;
    case "refused":
      return `${wordsOfProblem(scan.problem) ?? ""} ${say.todo.refused}`.trim();
    default:
      return say.todo[standing];
  }
}

function ofScan(scan: Scan, place: string): Card {
  const standing = standingOf(scan, place);
  // Green is for "let in"; that nobody confirmed it stands on it in words, and its sign is another.
  const tone = toneOf[standing];
  const word = words.value.word[standing];
  const hint = hintOf(scan, standing);
  return { standing, tone, word, hint, ticket: scan.ticket, offline: standing === "saved", scan };
}

/** What is to be said now; null before the first ticket. */
function cardNow(place: string): Card | null {
  const say = words.value;
  const now = gate.result.value;
  if (now === null) return null;
  const plain = (standing: Exclude<Card["standing"], Standing>, hint: string, ticket = ""): Card => {
    return { standing, tone: toneOf[standing], word: say.word[standing], hint, ticket, offline: false, scan: null };
  };
  switch (now.kind) {
    case "saving":
      return plain("saving", "", now.ticket);
    case "not-ticket":
      return plain("not-ticket", say.foreign[now.what]);
    case "unknown-key":
      return plain("unknown-key", say.todo["unknown-key"]);
    case "error":
      return plain("error", `${wordsOfError(now.code)} ${say.todo.error}`, now.ticket);
    case "scan":
    case "same": {
      const scan = gate.scanOf(now.key);
      if (scan === null) return null;
      const card = ofScan(scan, place);
      return now.kind === "scan" ? card : plain("same", `${say.sameHint}${card.word}`, card.ticket);
    }
  }
}

const asked = signal<string | null>(null);

const Question = later(async () => (await import("./question.tsx")).Question);

function Actions({ card }: { card: Card }): JSX.Element {
  const say = words.value;
  const { scan } = card;
  const ask = (key: string) => (): void => {
    asked.value = key;
    gate.hold();
  };
  return (
    <div class="result-actions">
      {scan !== null && mayTurnAway(scan, now.value, gateLimits.notLetInMs) && (
        <button type="button" class="on-tone" data-testid="turn-away" onClick={ask(scan.key)}>
          {say.turnAway}
        </button>
      )}
      {scan !== null && mayLetIn(scan, now.value, gateLimits.letInMs) && (
        <button type="button" class="on-tone" data-testid="overrule" onClick={ask(scan.key)}>
          {say.letIn}
        </button>
      )}
      <button type="button" class="on-tone" data-testid="next" onClick={gate.next}>
        {say.next}
      </button>
    </div>
  );
}

export function ResultCard({ me }: { me: Identity }): JSX.Element {
  const say = words.value;
  const card = cardNow(me.place);
  const shown = card === null ? "idle" : gate.covers.value ? "full" : "strip";
  const asks = card?.scan !== null && card !== null && shown === "full" && asked.value === card.scan.key;
  const answered = (): void => {
    asked.value = null;
  };
  useEffect(() => {
    // The lines above it stay in sight, however far down somebody had read.
    if (shown === "full") scrollTo(0, 0);
  }, [shown]);
  // Let in without the city is as green as with it; the broken frame, the sign and the words are not.
  const tone = card?.offline ? "good" : card?.tone;
  return (
    <div class="result-slot">
      {/* It stays while the card comes and goes, so that it is read aloud every time. */}
      <p class="unseen" role="status" aria-live="assertive">
        {card !== null && [card.word, card.offline ? say.offline : "", card.hint].filter(Boolean).join(" ")}
      </p>
      {/* Another element when it covers the screen: nothing jumps, it appears. */}
      <section
        key={shown === "full" ? "full" : "strip"}
        class={`result tone-${tone ?? "idle"}`}
        data-testid="result"
        data-shown={shown}
        data-asks={asks}
        data-standing={card?.standing ?? "idle"}
        data-ticket={card?.ticket ?? ""}
      >
        <div class="result-text">
          {card !== null && <Glyph tone={card.tone} size="large" />}
          <div class="result-lines">
            <p class="word" data-testid="result-word">
              {card?.word ?? say.idle}
            </p>
            {card?.offline && (
              <p class="result-badge" data-testid="result-offline">
                {say.offline}
              </p>
            )}
            <p class="hint">{card?.hint ?? say.idleHint}</p>
            {card?.ticket && <p class="code">{shortKey(card.ticket)}</p>}
          </div>
        </div>
        {card !== null && asks && card.scan !== null ? <Question me={me} scan={card.scan} answered={answered} /> : null}
        {card !== null && !asks && <Actions card={card} />}
      </section>
    </div>
  );
}
