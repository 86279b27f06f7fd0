// Signs drawn as shapes: every tone has its own, so that colour never speaks alone.
import type { JSX } from "preact";

/** `good` done and certain, `wait` safe but open, `warn` look here, `stop` no, `doubt` unknown, `calm` nothing new. */
export type Tone = "good" | "wait" | "warn" | "stop" | "doubt" | "calm";

const shapes: Record<Tone, JSX.Element> = {
  good: <path d="M5 13l5 5L19.5 7" />,
  wait: (
    <>
      <circle cx="12" cy="12" r="8.5" />
      <path d="M12 7v5.5l3.5 2" />
    </>
  ),
  warn: (
    <>
      <path d="M12 3.5L22 20.5H2z" />
      <path d="M12 10v4.5M12 17.4v.2" />
    </>
  ),
  stop: (
    <>
      <path d="M8.3 3h7.4L21 8.3v7.4L15.7 21H8.3L3 15.7V8.3z" />
      <path d="M9 9l6 6M15 9l-6 6" />
    </>
  ),
  doubt: (
    <>
      <path d="M12 2.5l9.5 9.5-9.5 9.5L2.5 12z" />
      <path d="M9.6 9.6a2.5 2.5 0 1 1 3.4 2.6c-.7.3-1 .8-1 1.6M12 16.4v.2" />
    </>
  ),
  calm: <path d="M5 9h14M5 15h14" />,
};

export function Glyph({ tone, size }: { tone: Tone; size: "small" | "large" }): JSX.Element {
  return (
    <svg class={`glyph glyph-${size}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {shapes[tone]}
    </svg>
  );
}
