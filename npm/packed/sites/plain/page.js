import * as conch from "/node_modules/conch-edge/index.js";

globalThis.conch = conch;
