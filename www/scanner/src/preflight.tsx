// The checks before a gate opens, each with one sentence what to do, and what nobody can check without a connection.
import type { JSX } from "preact";
import { Glyph, type Tone } from "../../shell/glyph.tsx";
import type { Identity } from "../../shell/identity.ts";
import type { CheckWord, Grade } from "./preflight.ts";
import { checks, openTheGate, permission, runChecks } from "./stage.ts";
import { View } from "./view.tsx";
import { words } from "./words/index.ts";

const toneOf: Record<Grade, Tone> = { good: "good", warn: "warn", bad: "stop" };

export function Preflight({ me }: { me: Identity }): JSX.Element {
  const say = words.value.preflight;
  const may = permission.value;
  return (
    <section class="preflight" data-testid="preflight" data-permission={may}>
      <h2>{say.title}</h2>
      <ul class="checks">
        {checks.value.map(({ name, grade, word }) => (
          <li key={name} data-testid={`check-${name}`} data-grade={grade} data-word={word}>
            <span class={`row-sign ink-${toneOf[grade]}`}>
              <Glyph tone={toneOf[grade]} size="small" />
            </span>
            <p>
              <strong>{say.names[name]}</strong>
              <br />
              {say.said[word as CheckWord]}
            </p>
          </li>
        ))}
      </ul>
      <div class="preflight-actions">
        <button type="button" class="plain wide" data-testid="run-checks" onClick={() => void runChecks()}>
          {say.run}
        </button>
        <button
          type="button"
          class={`wide ${may === "ready" ? "charge" : "tone-warn"}`}
          data-testid="open-gate"
          disabled={may === "not-yet"}
          onClick={() => openTheGate(me.device)}
        >
          {{ ready: say.open, anyway: say.anyway, "not-yet": say.notYet }[may]}
        </button>
      </div>
      <View />
      <section class="unchecked" data-testid="unchecked">
        <h2>{say.unchecked}</h2>
        <ul>
          {say.uncheckedList.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      </section>
    </section>
  );
}
