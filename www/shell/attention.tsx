// The sheet of dead letters: what each one was, why the city has not taken it, and what a person can do about it.
import { signal } from "@preact/signals";
import type { DeadLetter } from "conch-edge";
import type { JSX } from "preact";
import { money, shortKey } from "./figures.ts";
import { Glyph } from "./glyph.tsx";
import { codeOf, deadLetters, discard, readDeadLetters, redrive } from "./outbox.ts";
import { Sheet } from "./sheet.tsx";
import { timeOf, words, wordsOfError, wordsOfProblem } from "./words/index.ts";

const shown = signal(false);
const asked = signal<number | null>(null);
const failure = signal<string | null>(null);

export function showAttention(): void {
  asked.value = null;
  failure.value = null;
  shown.value = true;
  void readDeadLetters().catch(() => undefined);
}

async function act(work: Promise<void>): Promise<void> {
  failure.value = null;
  try {
    await work;
    asked.value = null;
  } catch (error) {
    failure.value = codeOf(error);
  }
}

/** What it was, in the person's terms: an amount for a sale, the code for a ticket. */
function subject(letter: DeadLetter): string {
  const { payload } = letter;
  if (letter.topic.startsWith("pay.") && typeof payload === "object" && payload !== null && "amount" in payload) {
    const { amount } = payload;
    if (typeof amount === "number") return `${words.value.dead.sale} ${money(amount)}`;
  }
  return letter.topic.startsWith("gate.") ? `${words.value.dead.scan} ${letter.key}` : letter.topic;
}

/** A page's own ways out of a dead letter. `act` runs one and shows why it failed; `askDiscard` asks for the reason. */
export type Remedies = (props: {
  letter: DeadLetter;
  act: (work: Promise<void>) => void;
  askDiscard: () => void;
}) => JSX.Element;

export function hideAttention(): void {
  shown.value = false;
}

function DiscardQuestion({ letter }: { letter: DeadLetter }): JSX.Element {
  const say = words.value.dead;
  return (
    <fieldset class="question">
      <legend>{say.discardAsk}</legend>
      {(["mistake", "handled"] as const).map((reason) => (
        <button
          key={reason}
          type="button"
          class="tone-stop wide"
          data-testid={`discard-${reason}`}
          onClick={() => void act(discard(letter, reason))}
        >
          {say.reasons[reason]}
        </button>
      ))}
      <button
        type="button"
        class="plain wide"
        data-testid="discard-back"
        onClick={() => {
          asked.value = null;
        }}
      >
        {say.back}
      </button>
    </fieldset>
  );
}

const PlainRemedies: Remedies = ({ letter, act: run, askDiscard }) => {
  const say = words.value.dead;
  return (
    <div class="pair">
      <button type="button" class="plain" data-testid="redrive" onClick={() => run(redrive(letter))}>
        {say.redrive}
      </button>
      <button type="button" class="quiet" data-testid="discard" onClick={askDiscard}>
        {say.discard}
      </button>
    </div>
  );
};

function Letter({ letter, remedies: Ways }: { letter: DeadLetter; remedies: Remedies }): JSX.Element {
  const say = words.value.dead;
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
      {asked.value === letter.sequence ? (
        <DiscardQuestion letter={letter} />
      ) : (
        <Ways
          letter={letter}
          act={(work) => void act(work)}
          askDiscard={() => {
            asked.value = letter.sequence;
          }}
        />
      )}
    </li>
  );
}

export function AttentionSheet({ remedies = PlainRemedies }: { remedies?: Remedies | undefined }): JSX.Element {
  const say = words.value.dead;
  return (
    <Sheet open={shown} name="attention" title={say.title} close={say.close}>
      <p class="ink-stop" role="alert">
        {failure.value !== null && `${say.failed} ${wordsOfError(failure.value)}`}
      </p>
      {deadLetters.value.length === 0 ? (
        <p data-testid="dead-empty">{say.empty}</p>
      ) : (
        <ul class="letters">
          {deadLetters.value.map((letter) => (
            <Letter key={letter.sequence} letter={letter} remedies={remedies} />
          ))}
        </ul>
      )}
    </Sheet>
  );
}
