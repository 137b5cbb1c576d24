// Keeps the board fresh without a reload, and draws its map. Without this script the page works: it is reloaded by hand.
import { draw } from "./carte.js";
import { redraw } from "./saisie.js";

const EVERY_MS = 10_000;
const SOON_MS = 1_000; // while a plan is being computed
const living = document.getElementById("vivant");
const map = document.getElementById("carte");
const updated = document.querySelector("[data-a-jour]");
const failure = document.querySelector("[data-panne]");
let etag = null;
let drawn = "";

async function showMap() {
  const data = document.getElementById("donnees-carte").textContent;
  if (data === drawn) return;
  drawn = data;
  await draw(map, JSON.parse(data));
}

/** Somebody who is filling in a form, or has a list open, is not disturbed. */
function isBusy() {
  const active = document.activeElement;
  return living.contains(active) && active.matches("input, select, textarea");
}

function replace(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("vivant");
  if (!fresh || fresh.innerHTML === living.innerHTML) return;
  redraw(living, fresh);
}

async function refresh() {
  if (document.hidden || isBusy()) return;
  const address = new URL(location.href);
  address.searchParams.delete("fait"); // what was done is said once
  try {
    const headers = { accept: "text/html" };
    if (etag) headers["If-None-Match"] = etag;
    const answer = await fetch(address, { headers, cache: "no-store", redirect: "error" });
    if (answer.status === 200 && !isBusy()) {
      const text = await answer.text();
      replace(text);
      etag = answer.headers.get("ETag");
      await showMap();
    } else if (answer.status !== 304) {
      throw new Error(answer.statusText);
    }
    updated.textContent = new Date().toLocaleTimeString("fr-FR");
    failure.hidden = true;
  } catch (reason) {
    console.info("tableau :", reason);
    failure.hidden = false;
  }
}

async function keepFresh() {
  await refresh();
  setTimeout(keepFresh, living.querySelector("[data-calcul]") ? SOON_MS : EVERY_MS);
}

showMap();
setTimeout(keepFresh, SOON_MS);
document.addEventListener("visibilitychange", refresh);
