importScripts("/node_modules/conch-edge/dist/sw.classic.js", "./answer.js");

addEventListener("message", answering(Conch.Edge));
