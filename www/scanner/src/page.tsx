// The gate's screen: a field for codes, one big result, and the last twenty scans.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Glyph, type Tone } from "../../shell/glyph.tsx";
import type { Identity } from "../../shell/identity.ts";
import { limits } from "../../shell/limits.ts";
import { ready } from "../../shell/outbox.ts";
import { briefTimeOf, timeOf, words, wordsOfError, wordsOfProblem } from "../../shell/words/index.ts";
import * as gate from "./gate.ts";
import { type Scan, type Standing, standingOf, toneOf } from "./scan.ts";

function wordOf(standing: Standing): string {
  const say = words.value.scanner;
  return { ...say, "used-here": say.used, "given-up": say.givenUp }[standing];
}

function hintOf(scan: Scan): string {
  const say = words.value.scanner;
  switch (standingOf(scan)) {
    case "saved":
      return scan.accepted ? say.savedWaiting : say.savedHint;
    case "used-here":
      return `${say.usedHere(timeOf(scan.earlierAt ?? scan.at))} ${say.usedHereHint}`;
    case "used":
      return scan.first === undefined ? "" : say.usedAt(scan.first.place, timeOf(scan.first.at));
    case "refused":
      return wordsOfProblem(scan.reason) ?? "";
    default:
      return "";
  }
}

interface Card {
  standing: string;
  tone: Tone;
  word: string;
  hint: string;
  ticket: string;
}

/** What the big card says; null before the first ticket. */
function cardNow(): Card | null {
  const say = words.value.scanner;
  const now = gate.result.value;
  if (now === null) return null;
  switch (now.kind) {
    case "saving":
      return { standing: "saving", tone: toneOf.saving, word: say.saving, hint: "", ticket: now.ticket };
    case "not-ticket":
      return {
        standing: "not-ticket",
        tone: toneOf["not-ticket"],
        word: say.notTicket,
        hint: wordsOfError(now.code),
        ticket: "",
      };
    case "error":
      return {
        standing: "error",
        tone: toneOf.error,
        word: say.error,
        hint: `${wordsOfError(now.code)} ${say.errorHint}`,
        ticket: now.ticket,
      };
    case "scan":
    case "same": {
      const scan = gate.scanOf(now.key);
      if (scan === null) return null;
      const standing = standingOf(scan);
      const word = wordOf(standing);
      if (now.kind === "same") {
        return {
          standing: "same",
          tone: toneOf.same,
          word: say.same,
          hint: `${say.sameHint} ${word}`,
          ticket: scan.ticket,
        };
      }
      return { standing, tone: toneOf[standing], word, hint: hintOf(scan), ticket: scan.ticket };
    }
  }
}

function ResultCard(): JSX.Element {
  const say = words.value.scanner;
  const card = cardNow();
  const idle = card === null;
  return (
    <section
      class={`card gate-card ${idle ? "tone-idle" : `tone-${card.tone}`}`}
      data-testid="result"
      data-standing={card?.standing ?? "idle"}
      data-ticket={card?.ticket ?? ""}
    >
      <div class="card-word" role="status" aria-live="assertive">
        {card !== null && <Glyph tone={card.tone} size="large" />}
        <p class="word" data-testid="result-word">
          {card?.word ?? say.idle}
        </p>
        {card?.ticket && <p class="code">{card.ticket}</p>}
        <p class="hint">{card?.hint ?? say.idleHint}</p>
      </div>
    </section>
  );
}

function Entry({ me }: { me: Identity }): JSX.Element {
  const say = words.value.scanner;
  const field = useRef<HTMLInputElement>(null);
  const submit = (): void => {
    // On a phone the soft keyboard would hide the result.
    if (matchMedia("(pointer: coarse)").matches) field.current?.blur();
    void gate.submit(me);
  };
  useEffect(() => {
    /** A keyboard scanner types anywhere; what it types belongs in the field. */
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") !== null) return;
      if (event.target instanceof HTMLInputElement) return;
      if (/^[\x21-\x7e]$/.test(event.key)) {
        gate.code.value += event.key;
        event.preventDefault();
      } else if (event.key === "Enter" && gate.code.value !== "") {
        // Also when a button has the focus: the scanner's Enter must not press it.
        event.preventDefault();
        submit();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <form
      class="entry"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <input
        ref={field}
        aria-label={say.label}
        placeholder={say.label}
        data-testid="ticket"
        autocomplete="off"
        autocapitalize="off"
        autocorrect="off"
        spellcheck={false}
        enterkeyhint="go"
        maxLength={limits.keyLength}
        value={gate.code.value}
        onInput={(event) => {
          gate.code.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="charge" data-testid="submit" disabled={!ready.value}>
        {say.submit}
      </button>
    </form>
  );
}

function History(): JSX.Element {
  const say = words.value.scanner;
  const rows = gate.scans.value.slice(0, limits.rowsShown);
  return (
    <section class="recent">
      <h2>{say.history}</h2>
      {rows.length === 0 && <p class="fine">{say.historyEmpty}</p>}
      <ul data-testid="scans">
        {rows.map((scan) => {
          const standing = standingOf(scan);
          return (
            <li
              key={scan.key}
              class="row"
              data-testid="scan-row"
              data-key={scan.key}
              data-ticket={scan.ticket}
              data-standing={standing}
            >
              <span class={`row-sign ink-${toneOf[standing]}`}>
                <Glyph tone={toneOf[standing]} size="small" />
              </span>
              <span class="row-main">{scan.ticket}</span>
              <span class="row-word">{wordOf(standing)}</span>
              <time class="row-time">{briefTimeOf(scan.at)}</time>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

export function GatePage({ me }: { me: Identity }): JSX.Element {
  return (
    <>
      <Entry me={me} />
      <ResultCard />
      <History />
    </>
  );
}
