// What a camera sees: QR codes as real frames of video, in good and bad light, written as the uncompressed y4m that
// Chromium's fake camera plays in a loop.
import { rmSync } from "node:fs";
import { mkdtemp, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { correction, generate, mode } from "lean-qr";
import { endsWithUs } from "./leftovers.js";

export interface Size {
  width: number;
  height: number;
}

/** How a code is held. */
export type Look = "good" | "rotated" | "small" | "far" | "blurred" | "shaken" | "dim" | "dark";

/** One thing before the camera for so many frames; without a text there is nothing. */
export interface Shot {
  text: string | null;
  frames: number;
  look?: Look;
}

const GROUND = 90;
const [BLACK, WHITE] = [30, 225];
const QUIET = 4;
/** Of a ticket's code with the quiet around it: version 6. */
const MODULES = 41 + 2 * QUIET;

/** Letters, digits and a few signs have a mode of their own, in which tickets are printed. */
function matrixOf(text: string): { size: number; get(x: number, y: number): boolean } {
  const data = /^[0-9A-Z $%*+./:-]+$/.test(text) ? mode.alphaNumeric(text) : text;
  return generate(data, { minCorrectionLevel: correction.M, maxCorrectionLevel: correction.M });
}

/** A number drawn from the last one, so that every run films the same. */
function* grain(seed: number): Generator<number, never> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield (state >>> 24) / 255 - 0.5;
  }
}

/** Luma of one frame: the code in its middle, turned by an angle, in so much of the picture's height. */
function drawn(text: string, { width, height }: Size, angle: number, share: number): Float32Array {
  const code = matrixOf(text);
  const modules = code.size + 2 * QUIET;
  const scale = (Math.min(width, height) * share) / modules;
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const luma = new Float32Array(width * height).fill(GROUND);
  // Four samples a pixel: edges are as soft as a lens makes them.
  const samples = [0.25, 0.75];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      let sum = 0;
      for (const dy of samples) {
        for (const dx of samples) {
          const [u, v] = [(x + dx - width / 2) / scale, (y + dy - height / 2) / scale];
          const column = u * cos + v * sin + modules / 2;
          const row = v * cos - u * sin + modules / 2;
          const isPaper = column >= 0 && row >= 0 && column < modules && row < modules;
          const isInk = isPaper && code.get(Math.floor(column) - QUIET, Math.floor(row) - QUIET);
          sum += isInk ? BLACK : isPaper ? WHITE : GROUND;
        }
      }
      luma[y * width + x] = sum / 4;
    }
  }
  return luma;
}

/** The mean over a square, once along each line and once down each column. */
function blurred(luma: Float32Array, { width, height }: Size, radius: number): Float32Array {
  const pass = (from: Float32Array, length: number, step: number, lines: number, stride: number): Float32Array => {
    const to = new Float32Array(from.length);
    for (let line = 0; line < lines; line += 1) {
      for (let place = 0; place < length; place += 1) {
        let [sum, count] = [0, 0];
        for (let near = Math.max(0, place - radius); near <= Math.min(length - 1, place + radius); near += 1) {
          sum += from[line * stride + near * step] ?? 0;
          count += 1;
        }
        to[line * stride + place * step] = sum / count;
      }
    }
    return to;
  };
  return pass(pass(luma, width, 1, height, width), height, width, width, 1);
}

function lit(luma: Float32Array, light: number, noise: number, seed: number): Uint8Array {
  const grains = grain(seed);
  return Uint8Array.from(luma, (value) => 16 + (value - 16) * light + grains.next().value * noise);
}

/** How each look is made: the angle, the share of the height, the blur in modules, the light and the camera's noise. */
const looks: Record<Look, { angle: number; share: number; blur: number; light: number; noise: number }> = {
  good: { angle: 0.03, share: 0.8, blur: 0, light: 1, noise: 6 },
  rotated: { angle: 0.6, share: 0.66, blur: 0, light: 1, noise: 6 },
  small: { angle: 0.1, share: 0.45, blur: 0, light: 1, noise: 6 },
  far: { angle: 0.1, share: 0.13, blur: 0, light: 1, noise: 6 },
  blurred: { angle: 0.03, share: 0.8, blur: 0.33, light: 1, noise: 6 },
  shaken: { angle: 0.03, share: 0.8, blur: 0.8, light: 1, noise: 6 },
  dim: { angle: 0.03, share: 0.8, blur: 0, light: 0.16, noise: 10 },
  dark: { angle: 0.03, share: 0.8, blur: 0, light: 0.1, noise: 16 },
};

/** One frame's luma, as the camera gives it. */
export function frameOf(shot: Pick<Shot, "text" | "look">, size: Size, seed: number): Uint8Array {
  const { angle, share, blur, light, noise } = looks[shot.look ?? "good"];
  if (shot.text === null) return lit(new Float32Array(size.width * size.height).fill(GROUND), light, noise, seed);
  const code = drawn(shot.text, size, angle, share);
  const radius = Math.round((Math.min(size.width, size.height) * share * blur) / MODULES);
  return lit(radius === 0 ? code : blurred(code, size, radius), light, noise, seed);
}

/** Plays the shots, `fps` frames a second. Gives the file. */
export async function film(
  shots: readonly Shot[],
  size: Size = { width: 320, height: 240 },
  fps = 10,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "conch-film-"));
  // A browser may play it as long as the run lasts.
  endsWithUs(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "camera.y4m");
  const out = await open(file, "w");
  const colour = new Uint8Array((size.width * size.height) / 2).fill(128);
  await out.write(`YUV4MPEG2 W${size.width} H${size.height} F${fps}:1 Ip A1:1 C420\n`);
  for (const [place, shot] of shots.entries()) {
    const luma = frameOf(shot, size, place + 1);
    for (let frame = 0; frame < shot.frames; frame += 1) {
      await out.write("FRAME\n");
      await out.write(luma);
      await out.write(colour);
    }
  }
  await out.close();
  return file;
}

/** The flags of a phone whose camera sees a film. */
export function cameraOf(file: string): string[] {
  return [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${file}`,
  ];
}
