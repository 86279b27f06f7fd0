// From a picture to a code: the browser's own detector where it has one, else our own in a worker.
import wasm from "zxing-wasm/reader/zxing_reader.wasm?url";

/** One picture at a time: the next is given once the last has settled. */
export interface Decoder {
  readonly name: "browser" | "own";
  /** The text of a code in the picture, or null. Throws when the decoder is broken. */
  read(picture: HTMLCanvasElement, pen: CanvasRenderingContext2D): Promise<string | null>;
  close(): void;
}

/** The Shape Detection API, as far as it is used here. */
interface Detector {
  detect(picture: HTMLCanvasElement): Promise<{ rawValue: string }[]>;
}
interface DetectorMaker {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
}

const WANTED = ["qr_code", "code_128", "ean_13"];

async function browsers(): Promise<Decoder | null> {
  const Maker = (globalThis as { BarcodeDetector?: DetectorMaker }).BarcodeDetector;
  if (Maker === undefined) return null;
  const known = await Maker.getSupportedFormats().catch((): string[] => []);
  if (!known.includes("qr_code")) return null;
  const detector = new Maker({ formats: WANTED.filter((format) => known.includes(format)) });
  return {
    name: "browser",
    read: async (picture) => (await detector.detect(picture))[0]?.rawValue ?? null,
    close: () => undefined,
  };
}

type Answer = { text: string | null } | { failed: string };

function own(): Decoder {
  const worker = new Worker(new URL("./decoder.worker.ts", import.meta.url), { type: "module" });
  worker.postMessage({ wasm: new URL(wasm, location.origin).href });
  let waiting: ((answer: Answer) => void) | null = null;
  const settle = (answer: Answer): void => {
    waiting?.(answer);
    waiting = null;
  };
  worker.onmessage = ({ data }: MessageEvent<Answer>) => settle(data);
  worker.onerror = () => settle({ failed: "the worker did not start" });
  return {
    name: "own",
    async read(picture, pen) {
      const frame = pen.getImageData(0, 0, picture.width, picture.height);
      const answer = await new Promise<Answer>((resolve) => {
        waiting = resolve;
        worker.postMessage({ frame }, [frame.data.buffer]);
      });
      if ("failed" in answer) throw new Error(answer.failed);
      return answer.text;
    },
    close() {
      worker.terminate();
      settle({ text: null });
    },
  };
}

export async function openDecoder(): Promise<Decoder> {
  return (await browsers()) ?? own();
}

/** A detector of the browser's that fails once is not asked again. */
export function instead(of: Decoder): Decoder | null {
  of.close();
  return of.name === "browser" ? own() : null;
}
