// Lets the courier's page open again without a network: the last one seen is kept on the phone.
// It is dropped as soon as the service answers with anything else than this page, as after a log-out; a service that
// fails or is being started says nothing, and counts as none.

const MEMORY = "tournee-1";
const PARTS = [
  ...["/static/style.css", "/static/icone.svg"],
  ...["dispatch.css", "ma-tournee.js", "saisie.js"].map((name) => `/static/dispatch/${name}`),
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(MEMORY).then((memory) => memory.addAll(PARTS)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const others = async () => {
    for (const name of await caches.keys()) if (name !== MEMORY) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(others());
});

self.addEventListener("fetch", (event) => {
  const address = new URL(event.request.url);
  const isPage = event.request.mode === "navigate" && address.pathname === "/ma-tournee";
  if (event.request.method === "GET" && (isPage || PARTS.includes(address.pathname))) {
    event.respondWith(networkFirst(event.request, isPage ? `/ma-tournee${address.search}` : address.pathname));
  }
});

async function networkFirst(request, key) {
  const memory = await caches.open(MEMORY);
  const answer = await fetch(request).catch((reason) => reason);
  if (answer instanceof Response && answer.status < 500) {
    if (answer.ok && !answer.redirected) await memory.put(key, answer.clone());
    else await memory.delete(key);
    return answer;
  }
  const known = (await memory.match(key)) ?? (key.startsWith("/ma-tournee") ? await memory.match("/ma-tournee") : undefined);
  if (known) return known;
  if (answer instanceof Response) return answer;
  throw answer;
}
