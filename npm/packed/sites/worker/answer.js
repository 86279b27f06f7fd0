// Shared by both workers, and therefore a script that leaves a global name.
globalThis.answering = (Edge, synced) => {
  let opened;
  const outbox = () => {
    opened ??= Edge.open({ city: "/", device: "worker-1" });
    return opened;
  };
  const answers = {
    // What became of the sync events, once the first has ended.
    synced: async () => {
      await synced.first;
      return synced.ends;
    },
    born: async () => performance.timeOrigin,
    sell: async (event) => (await (await outbox()).emit(event)).id,
    owed: async () => (await outbox()).snapshot().backlog,
    verdict: async (id) => {
      (await outbox()).flush();
      return (await (await outbox()).settled(id)).verdict;
    },
  };
  return (event) => {
    const [name, given] = event.data;
    const answered = answers[name](given).catch((error) => String(error));
    event.waitUntil(answered.then((answer) => event.ports[0].postMessage(answer)));
  };
};
