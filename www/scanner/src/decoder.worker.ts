// Decodes frames beside the page, so that the screen stays smooth. The wasm comes from our own origin and lies in the
// cache of the cold start: the library alone would fetch it from elsewhere at the first frame.
import { prepareZXingModule, type ReaderOptions, readBarcodes } from "zxing-wasm/reader";

declare const self: DedicatedWorkerGlobalScope;

/** First where the wasm lies, then one frame after another. */
type Told = { wasm: string } | { frame: ImageData };

/** What tickets are printed as: QR codes, and the bar codes of old ticketing and of what is no ticket. */
const options: ReaderOptions = {
  formats: ["QRCode", "Code128", "EAN13"],
  tryHarder: true,
  tryRotate: true,
  tryInvert: true,
  maxNumberOfSymbols: 1,
};

async function read(frame: ImageData): Promise<void> {
  try {
    const found = await readBarcodes(frame, options);
    self.postMessage({ text: found[0]?.text ?? null });
  } catch (error) {
    self.postMessage({ failed: String(error) });
  }
}

self.addEventListener("message", ({ data }: MessageEvent<Told>) => {
  if ("frame" in data) return void read(data.frame);
  // What fails here fails again with the first frame, which tells.
  const prepared = prepareZXingModule({ overrides: { locateFile: () => data.wasm }, fireImmediately: true });
  prepared.catch(() => undefined);
});
