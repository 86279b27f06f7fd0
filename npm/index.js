import { face, isConchError } from "./face.js";

// Written out in full, so that bundlers find the file and give it an address of their own.
export const { Edge, init, deliver } = face(() => new URL("./dist/conch_bg.wasm", import.meta.url));
export { isConchError };
