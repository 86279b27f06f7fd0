import type * as conch from "./index.js";

declare global {
  /** What `importScripts` of this file leaves behind, in a service worker that is a classic script. */
  const Conch: typeof conch;
}
