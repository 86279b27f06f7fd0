// A decision with its reason: the button asks first, the city keeps why.
import { type Signal, signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Done } from "./act.ts";
import { limits } from "./limits.ts";
import { words } from "./words.ts";

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

export function Decide({ id, choices }: { id: string; choices: readonly Choice[] }): JSX.Element {
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
            data-testid={choice.name}
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
        {choice.label}：{say.label}
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
            asked.value = null;
          }}
        >
          {say.back}
        </button>
      </div>
    </form>
  );
}
