// The camera: one stream, one canvas, one decode at a time. It stops whenever the page is hidden and starts again with it.
import { effect, signal, untracked } from "@preact/signals";
import { recall, remember } from "../../shell/store.ts";
import { type Decoder, instead, openDecoder } from "./decoder.ts";
import { gateLimits } from "./limits.ts";
import type { CameraState } from "./preflight.ts";
import { sparing } from "./sparing.ts";
import { took } from "./timing.ts";

export const camera = signal<CameraState>("off");
/** Null where the camera has no lamp. */
export const torch = signal<boolean | null>(null);
export const cameras = signal<readonly string[]>([]);
/** What decodes, for the checks before opening. */
export const decoderName = signal<Decoder["name"] | null>(null);

const CHOSEN = "conch.scanner.camera";

type Heard = (text: string, seenAt: number) => void;
type LampCapabilities = MediaTrackCapabilities & { torch?: boolean };
type LampSet = MediaTrackConstraintSet & { torch: boolean };

let wanted = false;
let stream: MediaStream | null = null;
let view: HTMLVideoElement | null = null;
let decoder: Decoder | null = null;
let hear: Heard = () => undefined;
/** The lamp was put out to spare power, and no person touched it since. */
let putOut = false;
/** A run that is not the latest ends by itself. */
let run = 0;

const picture = document.createElement("canvas");
const pen = picture.getContext("2d", { willReadFrequently: true });

/** Where the picture is shown. */
export function showOn(video: HTMLVideoElement | null): void {
  view = video;
  if (video !== null && stream !== null) attach(video, stream);
}

function attach(video: HTMLVideoElement, from: MediaStream): void {
  video.srcObject = from;
  // A hidden page may not play; it starts again when it is shown.
  void video.play().catch(() => undefined);
}

function stop(): void {
  run += 1;
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  if (view !== null) view.srcObject = null;
  torch.value = null;
  putOut = false;
}

/** The camera a person chose, or the one at the back. An ideal would let the picture's size outweigh the choice. */
async function open(): Promise<MediaStream> {
  const ask = (which: MediaTrackConstraints): Promise<MediaStream> =>
    navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { ...which, width: { ideal: 1_280 }, height: { ideal: 720 } },
    });
  const chosen = recall(CHOSEN);
  try {
    if (chosen !== null) return await ask({ deviceId: { exact: chosen } });
  } catch (error) {
    // It may be gone, or have another name since the browser forgot this page.
    if (error instanceof DOMException && error.name === "NotAllowedError") throw error;
  }
  return ask({ facingMode: "environment" });
}

/** Starts it, or starts it again. */
export async function startCamera(): Promise<void> {
  wanted = true;
  stop();
  const mine = run;
  if (navigator.mediaDevices === undefined) {
    camera.value = "none";
    return;
  }
  camera.value = "starting";
  try {
    const fresh = await open();
    if (mine !== run) {
      for (const track of fresh.getTracks()) track.stop();
      return;
    }
    stream = fresh;
  } catch (error) {
    if (mine === run)
      camera.value = error instanceof DOMException && error.name === "NotAllowedError" ? "denied" : "none";
    return;
  }
  const [track] = stream.getVideoTracks();
  track?.addEventListener("ended", () => {
    if (mine !== run) return;
    stop();
    camera.value = "dark";
  });
  torch.value = (track?.getCapabilities?.() as LampCapabilities | undefined)?.torch === true ? false : null;
  if (view !== null) attach(view, stream);
  const devices = await navigator.mediaDevices.enumerateDevices();
  cameras.value = devices.filter(({ kind }) => kind === "videoinput").map(({ deviceId }) => deviceId);
  await look(mine);
}

/** Nobody looks any more, also not when the page comes back. */
export function stopCamera(): void {
  wanted = false;
  stop();
  camera.value = "off";
}

/** The next camera of this device, remembered for the next time. */
export async function nextCamera(): Promise<void> {
  const [track] = stream?.getVideoTracks() ?? [];
  const at = cameras.value.indexOf(track?.getSettings().deviceId ?? "");
  const next = cameras.value[(at + 1) % cameras.value.length];
  if (next !== undefined) remember(CHOSEN, next);
  await startCamera();
}

async function light(on: boolean): Promise<void> {
  const [track] = stream?.getVideoTracks() ?? [];
  if (track === undefined || torch.value === null) return;
  await track.applyConstraints({ advanced: [{ torch: on } as LampSet] }).catch(() => undefined);
  torch.value = on;
}

export async function switchTorch(): Promise<void> {
  putOut = false;
  await light(torch.value === false);
}

/** Puts the lamp out while power is spared, and lights it again afterwards, unless a person decided otherwise. */
async function spareTorch(spare: boolean): Promise<void> {
  if (spare && torch.value === true) {
    putOut = true;
    await light(false);
  } else if (!spare && putOut) {
    putOut = false;
    await light(true);
  }
}

/** From now on codes are told, and the camera follows the page: off when hidden, on when shown. Call once. */
export function watchCamera(told: Heard): void {
  hear = told;
  document.addEventListener("visibilitychange", () => {
    if (!wanted) return;
    if (document.visibilityState === "visible") void startCamera();
    else {
      stop();
      camera.value = "off";
    }
  });
  // A page that is put away whole must not keep the lamp burning.
  addEventListener("pagehide", stop);
  effect(() => {
    const spare = sparing.value;
    void untracked(() => spareTorch(spare));
  });
}

/** When the next picture is there, by a timer where the browser does not tell. False when it should have and did not. */
function nextFrame(video: HTMLVideoElement): Promise<boolean> {
  return new Promise((resolve) => {
    const tells = "requestVideoFrameCallback" in video;
    const timer = setTimeout(() => resolve(!tells), gateLimits.frameEveryMs * 3);
    if (!tells) return;
    video.requestVideoFrameCallback(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function look(mine: number): Promise<void> {
  let lastPicture = performance.now();
  while (mine === run) {
    const began = performance.now();
    const video = view;
    if (began - lastPicture > gateLimits.frameWatchMs) camera.value = "dark";
    const ready = video !== null && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    if (!ready || !(await nextFrame(video))) {
      await rest(gateLimits.frameEveryMs);
      continue;
    }
    if (mine !== run) return;
    lastPicture = performance.now();
    if (!(await readFrame(video, mine))) return;
    const everyMs = sparing.value ? gateLimits.frameSparingMs : gateLimits.frameEveryMs;
    await rest(Math.max(0, everyMs - (performance.now() - began)));
  }
}

/** Draws one picture and has it read. False when nothing here can read. */
async function readFrame(video: HTMLVideoElement, mine: number): Promise<boolean> {
  if (pen === null) return false;
  const seenAt = performance.now();
  const scale = Math.min(1, gateLimits.frameEdge / Math.max(video.videoWidth, video.videoHeight));
  const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
  if (picture.width !== width || picture.height !== height) Object.assign(picture, { width, height });
  pen.drawImage(video, 0, 0, width, height);
  const drawnAt = took("frame", seenAt);
  try {
    decoder ??= await openDecoder();
    decoderName.value = decoder.name;
    const text = await decoder.read(picture, pen);
    if (mine !== run) return true;
    camera.value = "on";
    if (text !== null && text !== "") {
      took("read", drawnAt);
      hear(text, seenAt);
    }
    return true;
  } catch {
    decoder = decoder === null ? null : instead(decoder);
    if (decoder === null) camera.value = "broken";
    return decoder !== null;
  }
}
