// What stands between the tap and the sale: "the same again?", and the bank's answer to a hold.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { now } from "../../shell/clock.ts";
import { money } from "../../shell/figures.ts";
import { Glyph, type Tone } from "../../shell/glyph.tsx";
import { totalOf } from "./cart.ts";
import { draft } from "./desk.ts";
import type { Sale } from "./sale.ts";
import * as till from "./till.ts";
import { words } from "./words/index.ts";

export function RepeatQuestion({ first }: { first: Sale }): JSX.Element {
  const say = words.value;
  const question = useRef<HTMLElement>(null);
  // Not a button: a second Enter must not answer.
  useEffect(() => question.current?.focus(), []);
  const seconds = Math.max(1, Math.round((now.value - first.at) / 1_000));
  return (
    <section
      ref={question}
      class="card tone-warn"
      role="alertdialog"
      tabIndex={-1}
      aria-labelledby="repeat-title"
      data-testid="repeat"
    >
      <div class="card-word">
        <Glyph tone="warn" size="large" />
        <p class="word" id="repeat-title">
          {say.repeat.title}
        </p>
        <p class="figure">{money(first.amount)}</p>
        <p class="hint">{say.repeat.told(money(first.amount), say.methods[first.method], seconds)}</p>
      </div>
      <button type="button" class="on-tone wide tall" data-testid="repeat-another" onClick={till.chargeTwin}>
        {say.repeat.another}
      </button>
      <button type="button" class="on-tone wide tall" data-testid="repeat-twice" onClick={till.dropTwin}>
        {say.repeat.twice}
      </button>
      <button type="button" class="on-tone wide" data-testid="repeat-back" onClick={till.closeTwin}>
        {say.repeat.back}
      </button>
    </section>
  );
}

type Holding = NonNullable<typeof till.holding.value>;

const toneOf: Record<Holding, Tone> = {
  asking: "calm",
  held: "calm",
  away: "wait",
  unknown: "doubt",
  declined: "stop",
  ended: "stop",
  "no-acquirer": "stop",
  already: "warn",
  pending: "warn",
  identity: "warn",
  reused: "warn",
};

/** Asking the same again makes sense unless the answer was definite. */
const worthAsking: ReadonlySet<Holding> = new Set(["away", "unknown", "ended", "identity", "reused"]);

export function HoldCard({ step }: { step: Exclude<Holding, "held"> }): JSX.Element {
  const say = words.value.hold;
  return (
    <section class={`card tone-${toneOf[step]}`} data-testid="hold" data-step={step}>
      <div class="card-word">
        <Glyph tone={toneOf[step]} size="large" />
        <p class="word">{say[step]}</p>
        <p class="figure">{money(totalOf(draft.value))}</p>
        <p class="hint">{say[`${step}Hint`]}</p>
      </div>
      {worthAsking.has(step) && (
        <button type="button" class="on-tone wide tall" data-testid="hold-again" onClick={till.askHoldAgain}>
          {say.again}
        </button>
      )}
      {step !== "asking" && (
        <button type="button" class="on-tone wide tall" data-testid="hold-leave" onClick={till.leaveHold}>
          {say.otherWay}
        </button>
      )}
    </section>
  );
}
