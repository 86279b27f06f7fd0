// A picture to turn to a visitor whose code is too dark to be read: it needs no words, and has them in two languages. Scanning
// goes on under it, and the next result puts it away. The visitor reads either language, whatever the page speaks.
import { effect } from "@preact/signals";
import { createRef, type JSX } from "preact";
import { useEffect, useId } from "preact/hooks";
import * as gate from "./gate.ts";
import { words } from "./words/index.ts";

const RAYS = [0, 45, 90, 135, 180, 225, 270, 315];
/** Corners of the code's three large squares, and a few of its small ones, in modules. */
const FINDERS = ["0 0", "10 0", "0 10"];
const DOTS =
  "M8 1h1v2h-1zM9 4h1v1h-1zM8 6h1v1h-1zM1 8h2v1h-2zM4 9h1v1h-1zM6 8h2v1h-2zM9 8h2v2h-2zM12 8h1v1h-1zM14 9h3v1h-3zM8 11h1v2h-1zM10 12h2v1h-2zM13 11h1v3h-1zM15 12h2v1h-2zM9 14h2v1h-2zM8 16h1v1h-1zM12 15h1v2h-1zM15 15h1v1h-1zM16 16h1v1h-1z";

/** A phone with a code on it, a sun, and an arrow up. */
function Picture(): JSX.Element {
  return (
    <svg class="brighten-picture" viewBox="0 0 240 220" aria-hidden="true" focusable="false">
      <g fill="none" stroke="currentcolor" stroke-width="7" stroke-linecap="round" stroke-linejoin="round">
        <rect x="10" y="8" width="116" height="204" rx="16" />
        <path d="M54 24h28" />
        <circle class="brighten-sun" cx="186" cy="62" r="20" />
        {RAYS.map((angle) => (
          <path key={angle} d="M186 26v-14" transform={`rotate(${angle} 186 62)`} />
        ))}
      </g>
      <path fill="currentcolor" d="M186 124l40 42h-24v44h-32v-44h-24z" />
      <g fill="currentcolor" transform="translate(25.5 68.5) scale(5)">
        {FINDERS.map((corner) => (
          <path
            key={corner}
            fill-rule="evenodd"
            d="M0 0h7v7h-7zM1 1v5h5v-5zM2 2h3v3h-3z"
            transform={`translate(${corner})`}
          />
        ))}
        <path d={DOTS} />
      </g>
    </svg>
  );
}

const dialog = createRef<HTMLDialogElement>();

export function BrightenButton(): JSX.Element {
  const show = (): void => {
    gate.next();
    dialog.current?.showModal();
  };
  return (
    <button type="button" class="plain" data-testid="brighten" aria-haspopup="dialog" onClick={show}>
      {words.value.brighten.open}
    </button>
  );
}

export function BrightenPicture(): JSX.Element {
  const id = useId();
  // At once, not with the next drawing: a result behind an open dialog would not be read aloud.
  useEffect(() => effect(() => void (gate.covers.value && dialog.current?.close())), []);
  return (
    <dialog ref={dialog} class="brighten" data-testid="brighten-picture" aria-labelledby={id}>
      <button type="button" data-testid="brighten-close" onClick={() => dialog.current?.close()}>
        <Picture />
        <span id={id} class="brighten-words">
          <span lang="zh-Hant">請把手機螢幕調亮</span>
          <span lang="en">Please turn up your screen brightness</span>
        </span>
        <span class="brighten-hint">{words.value.brighten.close}</span>
      </button>
    </dialog>
  );
}
