// The wasm inside the module: for pages without an asset pipeline, and for service workers, which wake without network.
// Nothing here names `import.meta`, so the same source also makes the classic script.
import packed from "./dist/conch_bg.wasm.gz";
import { face, isConchError } from "./face.js";

// Packed before it becomes text, the file is less than half as long and a quarter smaller on the way.
function unpacked() {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

export const { Edge, init, deliver } = face(unpacked);
export { isConchError };
