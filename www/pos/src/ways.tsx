// The ways out of a refused sale, for the sheet of dead letters: what happened in plain words, and fix or void.
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { hideAttention, type Remedies } from "../../shell/attention.tsx";
import { discard, redrive } from "../../shell/outbox.ts";
import { isEmpty } from "./cart.ts";
import { draft } from "./desk.ts";
import { type Remedy, wayOut } from "./remedy.ts";
import { type Method, methods } from "./sale.ts";
import { enterAgain } from "./till.ts";
import { words } from "./words/index.ts";

/** Which other method? What the bank must hold first is no way out of a sale that is already made. */
export function MethodQuestion(props: {
  but: unknown;
  chosen: (method: Method) => void;
  back: () => void;
}): JSX.Element {
  const say = words.value;
  return (
    <fieldset class="question wide" data-testid="method-question">
      <legend>{say.fix.ask}</legend>
      {methods
        .filter((method) => method !== "authorized_online" && method !== props.but)
        .map((method) => (
          <button
            key={method}
            type="button"
            class="plain wide"
            data-testid={`instead-${method}`}
            onClick={() => props.chosen(method)}
          >
            {say.methods[method]}
          </button>
        ))}
      <button type="button" class="plain wide" data-testid="instead-back" onClick={props.back}>
        {say.fix.back}
      </button>
    </fieldset>
  );
}

/** The dead letter that a person takes another way. */
const choosing = signal<number | null>(null);

export const SaleRemedies: Remedies = ({ letter, act, askDiscard }) => {
  const say = words.value.fix;
  const { advice, remedies } = wayOut(letter);
  const { sequence, payload, key } = letter;
  if (choosing.value === sequence) {
    const chosen = (method: Method): void => {
      choosing.value = null;
      // The reference belongs to the way that was refused.
      const { authRef: _, ...rest } = payload;
      act(redrive(letter, { ...rest, method }));
    };
    const back = (): void => {
      choosing.value = null;
    };
    return <MethodQuestion but={payload.method} chosen={chosen} back={back} />;
  }
  const full = !isEmpty(draft.value);
  const again = async (): Promise<void> => {
    // Another tab may have begun a sale since this was drawn.
    if (!isEmpty(draft.value)) return;
    await discard(letter, "entered anew");
    enterAgain(key);
    hideAttention();
  };
  const ways: Record<Remedy, () => void> = {
    "send-again": () => act(redrive(letter)),
    "other-way": () => {
      choosing.value = sequence;
    },
    "enter-again": () => act(again()),
    void: askDiscard,
  };
  const ids: Record<Remedy, string> = {
    "send-again": "redrive",
    "other-way": "redrive-otherwise",
    "enter-again": "enter-again",
    void: "discard",
  };
  return (
    <div class="ways" data-testid="ways" data-advice={advice}>
      <p>{say[advice]}</p>
      {remedies.map((remedy) => (
        <button
          key={remedy}
          type="button"
          class={remedy === "void" ? "quiet wide" : "plain wide"}
          data-testid={ids[remedy]}
          disabled={remedy === "enter-again" && full}
          onClick={ways[remedy]}
        >
          {say[remedy]}
        </button>
      ))}
      {remedies.includes("enter-again") && full && <p class="fine">{say.cartFull}</p>}
    </div>
  );
};
