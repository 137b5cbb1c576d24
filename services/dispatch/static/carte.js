// Draws rounds on a map: numbered markers, one line a round, the city's own streets where they were imported.
//
// The page gives an element and, in it or named by it, the data:
//   <div class="carte" data-carte="ma-carte" aria-label="…"></div>
//   <script type="application/json" id="ma-carte">{"rounds": […], "stops": […]}</script>
//
//   rounds: [{"id", "label", "line": [[longitude, latitude], …], "estimated": true | false}]
//   stops:  [{"round": id or null, "number": 3 or null, "kind": "pickup" | "drop" | "depot" | "left-out",
//             "label", "longitude", "latitude", "href": "#…" or null}]
//
// `draw(element, data)` draws again with other data, where the reader was looking if she had moved the map. Nothing is
// asked of another origin. Where WebGL or the map library is missing, the same markers and lines are drawn as a plain
// picture and the page says so; the table beside the map holds the same facts.

const HERE = new URL(".", import.meta.url);
const STYLE = "/ville/style.json";
const EMPTY_STYLE = { version: 8, sources: {}, layers: [{ id: "ground", type: "background", paint: { "background-color": "#e7e9e3" } }] };
const FRANCE = [[-4.8, 42.3], [8.2, 51.1]];

// Okabe and Ito's colours, dark enough on the ground, told apart with most kinds of colour blindness; the dash of a
// line tells the rest apart. Colours and dashes have no common divisor: 35 rounds before two look alike.
const COLOURS = ["#0072b2", "#b34700", "#007a5a", "#a8336f", "#5b3fa0", "#8a6500", "#333333"];
const DASHES = [[], [4, 2], [1, 1.6], [6, 2, 1, 2], [2.5, 2.5]];

const WORDS = {
  "AttributionControl.ToggleAttribution": "Afficher ou masquer les sources",
  "NavigationControl.ZoomIn": "Agrandir",
  "NavigationControl.ZoomOut": "Réduire",
  "Map.Title": "Carte : flèches pour se déplacer, + et - pour agrandir et réduire",
  "Marker.Title": "Repère",
  "CooperativeGesturesHandler.WindowsHelpText": "Ctrl + molette pour agrandir la carte",
  "CooperativeGesturesHandler.MacHelpText": "⌘ + molette pour agrandir la carte",
  "CooperativeGesturesHandler.MobileHelpText": "Deux doigts pour déplacer la carte",
};

const looks = (index) => ({ colour: COLOURS[index % COLOURS.length], dash: DASHES[index % DASHES.length] });

/** Draw the data into the element, in place of what is there. */
export async function draw(element, data) {
  const rounds = data.rounds.map((round, index) => ({ ...round, ...looks(index) }));
  const places = gather(data.stops, new Map(rounds.map((round) => [round.id, round])));
  const seen = element.carte?.wasMoved && { center: element.carte.getCenter(), zoom: element.carte.getZoom() };
  element.carte?.remove();
  element.carte = null;
  element.replaceChildren();
  const ground = add(element, "div", "carte-fond");
  legend(element, rounds);
  try {
    element.carte = await paint(ground, rounds, places, seen, element.getAttribute("aria-label"));
    element.dataset.etat = "carte";
  } catch (reason) {
    console.info("carte simplifiée :", reason);
    ground.replaceChildren();
    sketch(ground, rounds, places);
    add(element, "p", "carte-avis").textContent =
      "Ce navigateur n’affiche pas la carte détaillée : voici un schéma. Le tableau dit la même chose.";
    element.dataset.etat = "schema";
  }
}

/** Stops at one place share a marker: [{position, text, title, colour, kind, href}]. */
function gather(stops, rounds) {
  const places = new Map();
  for (const stop of stops) {
    const key = `${stop.longitude.toFixed(5)} ${stop.latitude.toFixed(5)}`;
    const place = places.get(key) ?? { position: [stop.longitude, stop.latitude], stops: [] };
    place.stops.push(stop);
    places.set(key, place);
  }
  return [...places.values()].map(({ position, stops: here }) => {
    const numbers = [...new Set(here.filter((stop) => stop.number !== null).map((stop) => stop.number))];
    const owners = new Set(here.map((stop) => stop.round));
    const kinds = new Set(here.map((stop) => stop.kind));
    return {
      position,
      text: numbers.length > 2 ? `${numbers[0]}…` : numbers.join("·"),
      title: here.map((stop) => title(stop, rounds.get(stop.round))).join("\n"),
      colour: owners.size === 1 ? rounds.get(here[0].round)?.colour : undefined,
      kind: kinds.has("left-out") ? "left-out" : kinds.size === 1 ? here[0].kind : "drop",
      href: here.find((stop) => stop.href)?.href,
    };
  });
}

function title(stop, round) {
  const what = { pickup: "enlèvement", drop: "dépôt", depot: "départ et retour", "left-out": "non planifiée" }[stop.kind];
  return [round?.label, stop.number === null ? null : `arrêt ${stop.number}`, what, stop.label].filter(Boolean).join(", ");
}

/** A marker that can be reached by keyboard: a link to its line of the table, or a button that tells what it is. */
function marker(place) {
  const element = document.createElement(place.href ? "a" : "button");
  element.className = `repere repere-${place.kind}`;
  if (place.href) element.href = place.href;
  else element.type = "button";
  element.textContent = place.text;
  element.title = place.title;
  element.setAttribute("aria-label", place.title.replaceAll("\n", " ; "));
  if (place.colour) element.style.setProperty("--couleur", place.colour);
  return element;
}

async function paint(ground, rounds, places, seen, name) {
  if (!document.createElement("canvas").getContext("webgl2")) throw new Error("no WebGL 2");
  const [maplibre, { Protocol }, style] = await Promise.all([
    import(new URL("vendor/maplibre-gl.mjs", HERE)),
    import(new URL("vendor/pmtiles.mjs", HERE)),
    fetch(STYLE, { headers: { accept: "application/json" } }).then((answer) => (answer.ok ? answer.json() : EMPTY_STYLE)),
  ]);
  maplibre.setWorkerUrl(new URL("vendor/maplibre-gl-worker.mjs", HERE).href);
  maplibre.addProtocol("pmtiles", new Protocol().tile);
  const map = new maplibre.Map({
    container: ground,
    style,
    ...(seen || { bounds: bounds(rounds, places), fitBoundsOptions: { padding: 48, maxZoom: 16 } }),
    attributionControl: false,
    cooperativeGestures: true,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    locale: { ...WORDS, "Map.Title": name ? `${name} (${WORDS["Map.Title"]})` : WORDS["Map.Title"] },
  });
  map.wasMoved = Boolean(seen);
  map.on("movestart", (event) => { map.wasMoved ||= Boolean(event.originalEvent); }); // by the reader, not by us
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.AttributionControl({ compact: false }));
  map.on("error", (event) => console.info("carte :", event.error)); // streets that fail to come leave plain ground
  await map.once("style.load");
  rounds.forEach((round, index) => {
    const id = `round-${index}`;
    map.addSource(id, { type: "geojson", data: { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: round.line } } });
    const layout = { "line-join": "round" };
    map.addLayer({ id: `${id}-edge`, type: "line", source: id, layout, paint: { "line-color": "#fff", "line-width": 6, "line-opacity": 0.8 } });
    const dashed = round.dash.length ? { "line-dasharray": round.dash } : {};
    map.addLayer({ id, type: "line", source: id, layout, paint: { "line-color": round.colour, "line-width": 3.5, ...dashed } });
  });
  for (const place of places) new maplibre.Marker({ element: marker(place) }).setLngLat(place.position).addTo(map);
  return map;
}

/** [[west, south], [east, north]] around everything that is drawn. */
function bounds(rounds, places) {
  const points = [...places.map((place) => place.position), ...rounds.flatMap((round) => round.line)];
  if (!points.length) return FRANCE;
  const [longitudes, latitudes] = [points.map((point) => point[0]), points.map((point) => point[1])];
  return [[Math.min(...longitudes), Math.min(...latitudes)], [Math.max(...longitudes), Math.max(...latitudes)]];
}

/** The same without WebGL: lines as SVG, markers laid over it. North is up, distances are true near the middle. */
function sketch(ground, rounds, places) {
  const [[west, south], [east, north]] = bounds(rounds, places);
  const narrowing = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const [width, height] = [Math.max((east - west) * narrowing, 1e-4), Math.max(north - south, 1e-4)];
  const [frameWidth, frameHeight, margin] = [ground.clientWidth || 800, ground.clientHeight || 450, 32];
  const scale = Math.min((frameWidth - 2 * margin) / width, (frameHeight - 2 * margin) / height);
  const project = ([longitude, latitude]) => [
    frameWidth / 2 + (longitude - (west + east) / 2) * narrowing * scale,
    frameHeight / 2 - (latitude - (south + north) / 2) * scale,
  ];
  const picture = ground.appendChild(vector("svg", { viewBox: `0 0 ${frameWidth} ${frameHeight}`, "aria-hidden": "true" }));
  for (const round of rounds) {
    const points = round.line.map((point) => project(point).map((value) => value.toFixed(1)).join(",")).join(" ");
    picture.append(stroke(round, vector("polyline", { points, fill: "none" })));
  }
  for (const place of places) {
    const element = ground.appendChild(marker(place));
    const [x, y] = project(place.position);
    element.style.left = `${(100 * x) / frameWidth}%`;
    element.style.top = `${(100 * y) / frameHeight}%`;
  }
}

function stroke(round, shape) {
  shape.setAttribute("stroke", round.colour);
  shape.setAttribute("stroke-width", "3.5");
  if (round.dash.length) shape.setAttribute("stroke-dasharray", round.dash.map((length) => length * 3.5).join(" "));
  return shape;
}

/** Which line is whose, and whether lines are only straight. */
function legend(element, rounds) {
  if (!rounds.length) return;
  const list = add(element, "ul", "carte-legende");
  for (const round of rounds) {
    const item = add(list, "li");
    const swatch = vector("svg", { viewBox: "0 0 48 8", width: "48", height: "8", "aria-hidden": "true" });
    swatch.append(stroke(round, vector("line", { x1: "0", y1: "4", x2: "48", y2: "4" })));
    item.append(swatch, round.label);
  }
  if (rounds.some((round) => round.estimated)) {
    add(element, "p", "carte-avis").textContent = "Trajets à vol d’oiseau ; durées estimées.";
  }
}

function add(parent, name, className) {
  const element = parent.appendChild(document.createElement(name));
  if (className) element.className = className;
  return element;
}

function vector(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

for (const element of document.querySelectorAll("[data-carte]")) {
  draw(element, JSON.parse(document.getElementById(element.dataset.carte).textContent));
}
