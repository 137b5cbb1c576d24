// A courier's day without a network: what is done is kept on the phone and sent when it can be, in order.
//
// Reports wait in localStorage, photos in IndexedDB (they are too large for the other), each under the courier whose page
// it was done on: a phone may be shared, and nothing is sent in the session of another. Each report carries an id made
// here and the time at which it happened, so sending it twice, late or out of order is harmless. Without this script
// the page's forms do the same, with a network.

import { redraw } from "./saisie.js";

const QUEUE = "tournee.a-envoyer";
const LONGEST_SIDE = 1600; // pixels; enough to read a sign, small enough for a slow network
const living = document.getElementById("vivant");
const banner = document.getElementById("envoi");
const left = document.getElementById("envoi-autres");
const refused = document.getElementById("refus");
const day = living.dataset.date;
const courier = living.dataset.coursier;
let etag = living.dataset.etag; // of what is shown, also where that comes from the phone's own memory
let isSending = false;

// What says of nobody was kept before that was noted.
const isOwn = (thing) => (thing.courier ?? courier) === courier;
const kept = () => JSON.parse(localStorage.getItem(QUEUE) ?? "[]");
const waiting = () => kept().filter(isOwn);
const keep = (reports) => localStorage.setItem(QUEUE, JSON.stringify(reports));

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// Photos ------------------------------------------------------------------------------------------------------------

const photos = new Promise((resolve, reject) => {
  const opening = indexedDB.open("tournee", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("photos", { keyPath: "id" });
  opening.onsuccess = () => resolve(opening.result);
  opening.onerror = () => reject(opening.error);
});

async function inPhotos(mode, act) {
  const store = (await photos).transaction("photos", mode).objectStore("photos");
  const asked = act(store);
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}

const keptPhotos = () => inPhotos("readonly", (store) => store.getAll());

/** A picture of a sensible size; the file itself where the browser cannot make one. */
async function reduced(file) {
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.85));
  } catch {
    return file;
  }
}

// Reporting -----------------------------------------------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-compte-rendu]")) return;
  event.preventDefault();
  const stop = form.closest("[data-arret]");
  const data = new FormData(form);
  const kind = data.get("kind");
  const report = {
    courier,
    event_id: data.get("event_id"),
    stop_id: stop.dataset.arret,
    kind,
    occurred_at: new Date().toISOString(),
    note: (data.get("note") ?? "").trim(),
  };
  if (kind === "complete") {
    report.loads = [...form.querySelectorAll("[data-annonce]")].map((field) => ({
      kind: field.name.replace("compte-", ""),
      counted: Number(field.value),
    }));
  }
  if (kind === "fail") report.reason_code = data.get("reason_code");
  const file = data.get("photo");
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  if (file?.size) {
    const id = newId();
    await inPhotos("readwrite", (store) => store.put({ id, courier, stop: report.stop_id, blob: null, file }));
    const blob = await reduced(file);
    await inPhotos("readwrite", (store) => store.put({ id, courier, stop: report.stop_id, blob }));
    report.proof_ids = [id];
  }
  keep([...kept(), report]);
  show(report);
  await send();
});

document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-pas]");
  if (!step) return;
  const field = step.parentElement.querySelector("input");
  field.value = Math.max(0, Number(field.value) + Number(step.dataset.pas));
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

document.addEventListener("input", (event) => {
  const form = event.target.closest("form");
  const note = form?.querySelector("[data-remarque]");
  if (!note) return;
  const differs = [...form.querySelectorAll("[data-annonce]")].some((field) => field.value !== field.dataset.annonce);
  note.required = differs;
  if (differs) note.closest("details").open = true; // a field that is folded away cannot be asked for
  note.setCustomValidity(differs && !note.value.trim() ? "La quantité diffère de l'annonce : expliquez en une phrase." : "");
});

/** Show at once what was reported, before the service knows. */
function show(report) {
  const stop = living.querySelector(`[data-arret="${CSS.escape(report.stop_id)}"]`);
  if (!stop) return;
  const words = { start: "en route", arrive: "sur place", complete: "fait", fail: "échec" };
  label(stop, `${words[report.kind]}, à envoyer`);
  if (report.kind === "start" || report.kind === "arrive") {
    for (const form of stop.querySelectorAll("[data-compte-rendu]")) {
      const kind = form.elements.kind.value;
      if (kind === "start" || kind === report.kind) form.hidden = true;
    }
    return;
  }
  end(stop);
  const drop = living.querySelector(`[data-livraison="${CSS.escape(stop.dataset.livraison)}"][data-genre="drop"]`);
  if (drop && drop !== stop && !drop.classList.contains("over")) {
    if (report.kind === "fail") {
      label(drop, "sans objet");
      end(drop);
    } else {
      hand(report, drop);
    }
  }
  const next = living.querySelector(".stop:not(.over)");
  if (next) {
    next.open = true;
    next.querySelector("summary").focus({ preventScroll: true });
  }
  scrollTo({ top: 0 });
}

/** What was counted at the pickup is what there is to hand over. */
function hand(report, drop) {
  for (const load of report.loads) {
    const field = drop.querySelector(`[name="compte-${CSS.escape(load.kind)}"]`);
    if (field) field.value = load.counted;
  }
  const note = drop.querySelector("[data-remarque]");
  if (note) note.value = report.note;
}

function label(stop, text) {
  const badge = stop.querySelector("[data-etat]");
  badge.textContent = text;
  badge.className = "badge warn";
}

function end(stop) {
  stop.classList.add("over");
  stop.open = false;
  for (const part of stop.querySelectorAll("form, details.problem")) part.hidden = true;
  const over = document.getElementById("faits");
  over.append(stop);
  over.hidden = false;
  for (const count of living.querySelectorAll("[data-faits]")) count.textContent = over.querySelectorAll(".stop").length;
}

// Sending -------------------------------------------------------------------------------------------------------------

async function send() {
  if (isSending) return;
  isSending = true;
  try {
    if (!(await refresh())) return;
    let most = 50;
    while (waiting().length) {
      const batch = waiting().slice(0, most);
      const answer = await fetch("/v1/me/reports", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ reports: batch.map(({ courier: _, ...report }) => report) }),
      });
      if (answer.status === 401) return endSession();
      if (answer.status >= 500 || answer.status === 429) return;
      if (!answer.ok && batch.length > 1) {
        most = 1; // one of them cannot be read: it must not take the others with it
        continue;
      }
      const told = await answer.json();
      const results = answer.ok ? told.results : batch.map((report) => ({ event_id: report.event_id, effect: "refused", detail: told.detail }));
      for (const result of results) {
        if (result.effect === "refused" || result.effect === "without_effect") complain(result.detail);
      }
      const done = new Set(batch.map((report) => report.event_id));
      keep(kept().filter((report) => !done.has(report.event_id)));
    }
    await sendPhotos();
    await refresh();
  } catch (reason) {
    console.info("envoi :", reason); // no network: the next try is never far
  } finally {
    isSending = false;
    await tell();
  }
}

async function sendPhotos() {
  for (const photo of (await keptPhotos()).filter(isOwn)) {
    const body = photo.blob ?? photo.file;
    const answer = await fetch(`/v1/me/stops/${photo.stop}/proofs/${photo.id}`, { method: "PUT", headers: { "content-type": body.type }, body });
    if (answer.status >= 500 || answer.status === 429 || answer.status === 401) return;
    if (!answer.ok) complain((await answer.json()).detail);
    await inPhotos("readwrite", (store) => store.delete(photo.id));
  }
}

function endSession() {
  complain("Votre session est finie : reconnectez-vous, rien n'est perdu.", "/connexion?suite=/ma-tournee");
  return false;
}

function complain(text, address) {
  if ([...refused.children].some((line) => line.textContent === text)) return;
  const line = document.createElement(address ? "a" : "p");
  line.className = "notice refused";
  line.textContent = text;
  if (address) line.href = address;
  refused.append(line);
}

/** How much waits on this phone: of whom this page is of, and of others. */
async function waitingHere() {
  const all = [...kept(), ...(await keptPhotos().catch(() => []))];
  const own = all.filter(isOwn).length;
  return { own, others: all.length - own };
}

async function tell() {
  const { own: count, others } = await waitingHere();
  left.hidden = !others;
  left.textContent =
    others > 1
      ? `${others} actions d'un autre compte attendent sur ce téléphone : elles partiront quand il s'y reconnectera.`
      : "1 action d'un autre compte attend sur ce téléphone : elle partira quand il s'y reconnectera.";
  const isOffline = !navigator.onLine;
  banner.hidden = !count && !isOffline;
  const unsent = count ? `${count} action${count > 1 ? "s" : ""} à envoyer` : "Hors connexion";
  banner.querySelector("[data-envoi]").textContent = isOffline
    ? `${unsent}${count ? ", hors connexion" : ""} : continuez, tout partira au retour du réseau.`
    : `${unsent}…`;
  banner.querySelector("[data-envoyer]").hidden = isOffline || !count;
}

// Staying up to date --------------------------------------------------------------------------------------------------

function isBusy() {
  const active = document.activeElement;
  return waiting().length > 0 || (living.contains(active) && active.matches("input, select, textarea"));
}

/** Draw what is new; return whether the session is that of whom this page is of: nothing is sent in another's name. */
async function refresh() {
  const answer = await fetch(`/v1/me/assignments?date=${day}`, { headers: etag ? { "If-None-Match": etag } : {}, cache: "no-store" });
  if (answer.status === 401) return endSession();
  if (!answer.ok && answer.status !== 304) return false;
  if (answer.status === 200 && (await answer.json()).courier.id !== courier) {
    complain("Un autre compte s'est connecté sur ce téléphone : ouvrez sa tournée, rien n'est perdu.", "/ma-tournee");
    return false;
  }
  if (answer.status === 304 || (await replaced())) {
    etag = answer.headers.get("ETag");
    document.querySelector("[data-a-jour]").textContent = new Date().toLocaleTimeString("fr-FR");
  }
  return true;
}

async function replaced() {
  if (isBusy()) return false;
  const page = await fetch(`/ma-tournee?date=${day}`, { headers: { accept: "text/html" }, cache: "no-store" });
  const fresh = page.ok && new DOMParser().parseFromString(await page.text(), "text/html").getElementById("vivant");
  if (!fresh || isBusy()) return false;
  redraw(living, fresh);
  ready();
  return true;
}

async function keepFresh() {
  if (!document.hidden) {
    await send();
    await tell();
  }
  setTimeout(keepFresh, Number(living.dataset.poll) * 1000);
}

function ready() {
  for (const button of living.querySelectorAll("[data-pas]")) button.hidden = false;
}

ready();
for (const report of waiting()) show(report); // the page may come from the phone's own memory
banner.querySelector("[data-envoyer]").addEventListener("click", send);
addEventListener("online", keepFreshSoon);
addEventListener("offline", tell);
document.addEventListener("visibilitychange", keepFreshSoon);
function keepFreshSoon() {
  if (!document.hidden) send().then(tell);
}
keepFresh();
navigator.serviceWorker?.register("/ma-tournee/hors-ligne.js", { scope: "/ma-tournee" }).catch((reason) => console.info("hors ligne :", reason));
