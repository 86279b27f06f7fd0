// The camera's picture, what is wrong with it, and what a person can do about it.
import type { JSX } from "preact";
import { words } from "../../shell/words/index.ts";
import { camera, cameras, nextCamera, showOn, startCamera, switchTorch, torch } from "./camera.ts";

export function View(): JSX.Element {
  const say = words.value.scanner.camera;
  const state = camera.value;
  const needsHand = state === "dark" || state === "denied" || state === "none" || state === "off";
  return (
    <section class="view" data-testid="view" data-camera={state} aria-label={say.label}>
      <video ref={showOn} muted playsInline autoplay />
      <p class="view-word" role="status">
        {say[state]}
      </p>
      <div class="view-controls">
        {torch.value !== null && (
          <button
            type="button"
            class={torch.value ? "tone-wait" : "plain"}
            data-testid="torch"
            aria-pressed={torch.value}
            onClick={() => void switchTorch()}
          >
            {torch.value ? say.torchOff : say.torchOn}
          </button>
        )}
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
      </div>
    </section>
  );
}
