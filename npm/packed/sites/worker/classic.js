importScripts("/node_modules/conch-edge/dist/sw.classic.js", "./answer.js");

const synced = [];
addEventListener("message", answering(Conch.Edge, synced));
addEventListener("sync", (event) => {
  const delivered = Conch.deliver({ city: "/", device: "worker-1" });
  const end = (word) => () => synced.push(word);
  event.waitUntil(delivered.finally(() => {}).then(end("done"), end("owed")));
});
