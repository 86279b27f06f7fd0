// Which decoder reads what: the same frames before each, in good light and bad. Frames are made here, so they are kinder
// than a phone at night; what is compared is the decoders with each other.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import jsqr from "jsqr";
import decodeQR from "qr/decode.js";
import { prepareZXingModule, type ReaderOptions, readBarcodes } from "zxing-wasm/reader";
import { frameOf, type Look, type Size } from "../film.js";

export const looks = [
  "good",
  "rotated",
  "small",
  "far",
  "blurred",
  "shaken",
  "dim",
  "dark",
] as const satisfies readonly Look[];

/** What a decoder did with a set of frames. */
export interface Score {
  name: string;
  /** Frames read rightly, by look. */
  read: Record<(typeof looks)[number], number>;
  /** Frames without a code in which one was found, and texts that were not what was shown. */
  wrong: number;
  /** Processor time a frame, with a code in it and without, in ms. */
  fullMs: number;
  emptyMs: number;
}

type Decode = (frame: ImageData) => Promise<string | null>;

async function zxing(): Promise<void> {
  const file = createRequire(import.meta.url).resolve("zxing-wasm/reader/zxing_reader.wasm");
  const wasmBinary = new Uint8Array(await readFile(file)).buffer;
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
}

const withZxing =
  (options: ReaderOptions): Decode =>
  async (frame) =>
    (await readBarcodes(frame, { maxNumberOfSymbols: 1, ...options }))[0]?.text ?? null;

/** The package names its only export twice. */
const jsQR = jsqr as unknown as typeof jsqr.default;

const decoders: Record<string, Decode> = {
  "zxing-wasm 3.1.6, QR, Code 128 and EAN-13 (the page's)": withZxing({ formats: ["QRCode", "Code128", "EAN13"] }),
  "zxing-wasm 3.1.6, QR only": withZxing({ formats: ["QRCode"] }),
  "zxing-wasm 3.1.6, QR only, without tryHarder": withZxing({ formats: ["QRCode"], tryHarder: false }),
  "jsQR 1.4.0": async ({ data, width, height }) => jsQR(data, width, height)?.data || null,
  "qr 0.7.0": async ({ data, width, height }) => {
    try {
      return decodeQR({ data, width, height }) || null;
    } catch {
      return null;
    }
  },
};

/** Luma as the canvas gives it. */
function picture(luma: Uint8Array, { width, height }: Size): ImageData {
  const data = new Uint8ClampedArray(width * height * 4);
  for (const [place, value] of luma.entries()) data.set([value, value, value, 255], place * 4);
  return { data, width, height, colorSpace: "srgb" } as unknown as ImageData;
}

const cpuMs = (): number => process.cpuUsage().user / 1_000;

/** Holds the codes before every decoder in every look. */
export async function compare(codes: readonly string[], size: Size): Promise<Score[]> {
  await zxing();
  const frames = looks.flatMap((look) =>
    codes.map((text, place) => ({ look, text, frame: picture(frameOf({ text, look }, size, place + 1), size) })),
  );
  const empty = codes.map((_, place) => picture(frameOf({ text: null }, size, place + 1), size));
  const scores: Score[] = [];
  for (const [name, decode] of Object.entries(decoders)) {
    for (const { frame } of frames.slice(0, 3)) await decode(frame);
    const score: Score = {
      name,
      read: Object.fromEntries(looks.map((look) => [look, 0])) as Score["read"],
      wrong: 0,
      fullMs: 0,
      emptyMs: 0,
    };
    const began = cpuMs();
    for (const { look, text, frame } of frames) {
      const seen = await decode(frame);
      if (seen === text) score.read[look] += 1;
      else if (seen !== null) score.wrong += 1;
    }
    const between = cpuMs();
    for (const frame of empty) if ((await decode(frame)) !== null) score.wrong += 1;
    score.fullMs = (between - began) / frames.length;
    score.emptyMs = (cpuMs() - between) / empty.length;
    scores.push(score);
  }
  return scores;
}
