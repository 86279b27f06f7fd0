// The page has no outbox of its own: it asks the worker, which answers through the port it is given.
globalThis.ask = async (question) => {
  const registration = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve) => {
    port1.onmessage = (event) => resolve(event.data);
  });
  registration.active.postMessage(question, [port2]);
  return answer;
};
