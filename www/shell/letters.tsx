// Dead letters: what each one was, why the city has not taken it, and what a person can do about it.
import type { DeadLetter } from "conch-edge";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Remedies } from "./attention.tsx";
import { money, shortKey } from "./figures.ts";
import { Glyph } from "./glyph.tsx";
import { codeOf, deadLetters, discard, redrive } from "./outbox.ts";
import { bothOf, timeOf, wordsOfError, wordsOfProblem } from "./words/index.ts";
import { en } from "./words/letters.en.ts";
import { zhHant } from "./words/letters.zh-Hant.ts";

const words = bothOf(zhHant, en);

/** What it was, in the person's terms: an amount for a sale, the code for a ticket. */
function subject(letter: DeadLetter): string {
  const { payload } = letter;
  if (letter.topic.startsWith("pay.") && typeof payload === "object" && payload !== null && "amount" in payload) {
    const { amount } = payload;
    if (typeof amount === "number") return `${words.value.sale} ${money(amount)}`;
  }
  return letter.topic.startsWith("gate.") ? `${words.value.scan} ${letter.key}` : letter.topic;
}

type Act = (work: Promise<void>) => void;

function DiscardQuestion(props: { letter: DeadLetter; act: Act; back: () => void }): JSX.Element {
  const { letter, act, back } = props;
  const say = words.value;
  return (
    <fieldset class="question">
      <legend>{say.discardAsk}</legend>
      {(["mistake", "handled"] as const).map((reason) => (
        <button
          key={reason}
          type="button"
          class="tone-stop wide"
          data-testid={`discard-${reason}`}
          onClick={() => act(discard(letter, reason))}
        >
          {say.reasons[reason]}
        </button>
      ))}
      <button type="button" class="plain wide" data-testid="discard-back" onClick={back}>
        {say.back}
      </button>
    </fieldset>
  );
}

const PlainRemedies: Remedies = ({ letter, act, askDiscard }) => {
  const say = words.value;
  return (
    <div class="pair">
      <button type="button" class="plain" data-testid="redrive" onClick={() => act(redrive(letter))}>
        {say.redrive}
      </button>
      <button type="button" class="quiet" data-testid="discard" onClick={askDiscard}>
        {say.discard}
      </button>
    </div>
  );
};

function Letter(props: {
  letter: DeadLetter;
  remedies: Remedies;
  act: Act;
  asks: boolean;
  ask: (wish: boolean) => void;
}): JSX.Element {
  const { letter, remedies: Ways, act, asks, ask } = props;
  const say = words.value;
  const plain = wordsOfProblem(letter.problem?.type) ?? letter.problem?.detail ?? letter.problem?.title;
  return (
    <li
      class="letter"
      data-testid="dead-letter"
      data-key={letter.key}
      data-reason={letter.reason}
      data-attempt={letter.attempt}
    >
      <p class="letter-head">
        <Glyph tone="warn" size="small" />
        <strong>{subject(letter)}</strong>
        <time>{timeOf(letter.at)}</time>
      </p>
      <p>{say[letter.reason]}</p>
      {plain !== undefined && <p class="letter-why">{plain}</p>}
      <p class="fine">{shortKey(letter.key)}</p>
      {asks ? (
        <DiscardQuestion letter={letter} act={act} back={() => ask(false)} />
      ) : (
        <Ways letter={letter} act={act} askDiscard={() => ask(true)} />
      )}
    </li>
  );
}

export function Letters({ remedies = PlainRemedies }: { remedies?: Remedies | undefined }): JSX.Element {
  const [failure, fail] = useState<string | null>(null);
  const [asked, ask] = useState<number | null>(null);
  const say = words.value;
  const act = (work: Promise<void>): void => {
    fail(null);
    work.then(
      () => ask(null),
      (error) => fail(codeOf(error)),
    );
  };
  return (
    <>
      <p class="ink-stop" role="alert">
        {failure !== null && `${say.failed} ${wordsOfError(failure)}`}
      </p>
      {deadLetters.value.length === 0 ? (
        <p data-testid="dead-empty">{say.empty}</p>
      ) : (
        <ul class="letters">
          {deadLetters.value.map((letter) => (
            <Letter
              key={letter.sequence}
              letter={letter}
              remedies={remedies}
              act={act}
              asks={asked === letter.sequence}
              ask={(wish) => ask(wish ? letter.sequence : null)}
            />
          ))}
        </ul>
      )}
    </>
  );
}
