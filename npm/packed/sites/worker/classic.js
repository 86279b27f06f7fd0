importScripts("/node_modules/conch-edge/dist/sw.classic.js", "./answer.js");

// What became of the sync events.
const synced = { ends: [] };
synced.first = new Promise((resolve) => {
  synced.end = (word) => resolve(synced.ends.push(word));
});
addEventListener("message", answering(Conch.Edge, synced));
addEventListener("sync", (event) => {
  const delivered = Conch.deliver({ city: "/", device: "worker-1" });
  event.waitUntil(
    delivered.then(
      () => synced.end("done"),
      () => synced.end("owed"),
    ),
  );
});
