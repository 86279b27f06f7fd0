// A decision with its reason: the button asks first, the city keeps why.
import { type Signal, signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Done } from "./act.ts";
import { limits } from "./limits.ts";
import { words } from "./words/index.ts";

export interface Choice {
  name: string;
  label: string;
  /** Ends the matter for good. */
  grave: boolean;
  take: (reason: string) => Promise<Done>;
}

/** Which choice is asked about, by the matter's id: one at a time. */
const asked: Signal<{ id: string; name: string; busy: boolean } | null> = signal(null);
/** What came of the last decision. */
const outcome: Signal<{ id: string; done: Done } | null> = signal(null);

async function take(id: string, choice: Choice, reason: string): Promise<void> {
  asked.value = { id, name: choice.name, busy: true };
  const done = await choice.take(reason);
  outcome.value = { id, done };
  asked.value = null;
}

interface Matter {
  id: string;
  /** What it is about, for those who hear the buttons one by one. */
  about: string;
  choices: readonly Choice[];
}

/** Which button gets the focus back when its question is closed. */
let closed: { id: string; name: string } | null = null;

function focusAgain(id: string, name: string, button: HTMLButtonElement | null): void {
  if (button === null || closed?.id !== id || closed.name !== name) return;
  closed = null;
  button.focus({ preventScroll: true });
}

export function Decide({ id, about, choices }: Matter): JSX.Element {
  const say = words.value.reason;
  const open = asked.value?.id === id ? choices.find((choice) => choice.name === asked.value?.name) : undefined;
  const came = outcome.value?.id === id ? outcome.value.done : null;
  if (open !== undefined) return <Reason id={id} choice={open} busy={asked.value?.busy ?? false} />;
  return (
    <>
      <div class="pair">
        {choices.map((choice) => (
          <button
            key={choice.name}
            type="button"
            class={choice.grave ? "quiet" : "plain"}
            aria-label={`${choice.label} ${about}`}
            data-testid={choice.name}
            ref={(button) => focusAgain(id, choice.name, button)}
            onClick={() => {
              outcome.value = null;
              asked.value = { id, name: choice.name, busy: false };
            }}
          >
            {choice.label}
          </button>
        ))}
      </div>
      <p role="status" class={came === null || came === "done" ? "fine" : "ink-warn"} data-testid="outcome">
        {came !== null && say.done[came]}
      </p>
    </>
  );
}

function Reason({ id, choice, busy }: { id: string; choice: Choice; busy: boolean }): JSX.Element {
  const say = words.value.reason;
  return (
    <form
      class="reason"
      onSubmit={(event) => {
        event.preventDefault();
        const reason = String(new FormData(event.currentTarget).get("reason") ?? "").trim();
        if (reason !== "") void take(id, choice, reason);
      }}
    >
      <label class="fine" for={`reason-${id}`}>
        {words.value.board.of(choice.label, say.label)}
      </label>
      <input
        id={`reason-${id}`}
        name="reason"
        data-testid="reason"
        required
        maxLength={limits.reasonLength}
        autocomplete="off"
        ref={(input) => input?.focus({ preventScroll: true })}
      />
      <div class="pair">
        <button type="submit" class={choice.grave ? "tone-stop" : "charge"} data-testid="reason-send" disabled={busy}>
          {say.send}
        </button>
        <button
          type="button"
          class="plain"
          onClick={() => {
            closed = { id, name: choice.name };
            asked.value = null;
          }}
        >
          {say.back}
        </button>
      </div>
    </form>
  );
}
