// The camera's picture, what is wrong with it, and what a person can do about it.
import type { JSX } from "preact";
import { BrightenButton } from "./brighten.tsx";
import { camera, cameras, nextCamera, showOn, startCamera, switchTorch, torch } from "./camera.ts";
import { sparing } from "./sparing.ts";
import { stage } from "./stage.ts";
import { words } from "./words/index.ts";

/** While power is spared the lamp stays out unless somebody insists. */
function Torch({ lit }: { lit: boolean }): JSX.Element {
  const say = words.value.camera;
  const insists = !lit && sparing.value;
  return (
    <button
      type="button"
      class={lit ? "tone-wait" : "plain"}
      data-testid={insists ? "torch-anyway" : "torch"}
      aria-pressed={lit}
      onClick={() => void switchTorch()}
    >
      {lit ? say.torchOff : insists ? say.torchAnyway : say.torchOn}
    </button>
  );
}

export function View(): JSX.Element {
  const say = words.value.camera;
  const state = camera.value;
  const needsHand = state === "dark" || state === "denied" || state === "none" || state === "off";
  return (
    <section class="view" data-testid="view" data-camera={state} data-sparing={sparing.value} aria-label={say.label}>
      <video ref={showOn} muted playsInline autoplay />
      <p class="view-word" role="status">
        {say[state]}
      </p>
      <div class="view-controls">
        {torch.value !== null && <Torch lit={torch.value} />}
        {cameras.value.length > 1 && (
          <button type="button" class="plain" data-testid="camera-next" onClick={() => void nextCamera()}>
            {say.switch}
          </button>
        )}
        {needsHand && (
          <button type="button" class="plain" data-testid="camera-restart" onClick={() => void startCamera()}>
            {say.restart}
          </button>
        )}
        {stage.value === "open" && <BrightenButton />}
      </div>
    </section>
  );
}
