// Tones made here, so that there is no file to miss. Browsers let a page sound only after a gesture.
import { signal } from "@preact/signals";
import type { Sound } from "./scan.ts";

/** `locked`: nobody touched the page yet. `none`: this browser makes no sound. */
export const sound = signal<"locked" | "on" | "none">("AudioContext" in globalThis ? "locked" : "none");

let context: AudioContext | null = null;

/** Notes one after another: frequency in Hz, and how long in ms. */
const tunes: Record<Sound, readonly (readonly [number, number])[]> = {
  accepted: [
    [880, 90],
    [1_320, 160],
  ],
  used: [
    [660, 140],
    [0, 60],
    [660, 140],
    [0, 60],
    [660, 140],
  ],
  stop: [[196, 600]],
  same: [[990, 60]],
};

/** Vibration beside it, where there is any, in ms. */
const buzzes: Record<Sound, number[]> = { accepted: [60], used: [80, 60, 80, 60, 80], stop: [400], same: [20] };

/** Call in a gesture. */
export async function unlock(): Promise<void> {
  if (sound.value === "none") return;
  context ??= new AudioContext();
  context.onstatechange = () => {
    sound.value = context?.state === "running" ? "on" : "locked";
  };
  await context.resume().catch(() => undefined);
  sound.value = context.state === "running" ? "on" : "locked";
}

/** Any touch or key unlocks it; after a reload nobody looks for a button. */
export function unlockAtFirstTouch(): void {
  for (const kind of ["pointerdown", "keydown"]) {
    addEventListener(kind, () => void (sound.value === "locked" && unlock()), { passive: true });
  }
}

export function play(tune: Sound): void {
  // A browser that never heard a gesture logs an error when asked to vibrate.
  if ("vibrate" in navigator && navigator.userActivation?.hasBeenActive) navigator.vibrate(buzzes[tune]);
  if (context === null || context.state !== "running") return;
  let at = context.currentTime;
  for (const [frequency, ms] of tunes[tune]) {
    const until = at + ms / 1_000;
    if (frequency > 0) note(context, frequency, at, until);
    at = until;
  }
}

function note(on: AudioContext, frequency: number, at: number, until: number): void {
  const tone = new OscillatorNode(on, { type: tuneShape(frequency), frequency });
  const volume = new GainNode(on, { gain: 0 });
  // Without a slope the loudspeaker clicks.
  volume.gain.setValueAtTime(0, at);
  volume.gain.linearRampToValueAtTime(0.7, at + 0.008);
  volume.gain.setValueAtTime(0.7, until - 0.015);
  volume.gain.linearRampToValueAtTime(0, until);
  tone.connect(volume).connect(on.destination);
  tone.start(at);
  tone.stop(until);
}

/** Low notes are lost on a phone's loudspeaker unless they have overtones. */
function tuneShape(frequency: number): OscillatorType {
  return frequency < 400 ? "sawtooth" : "sine";
}
