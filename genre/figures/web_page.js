"use strict";
// The page is drawn from the JSON text in the element #content; genre/figures/web_page.py says what it holds.
// Names of tracks and genres are only ever set as text, never as HTML.

const content = JSON.parse(document.getElementById("content").textContent);
const ROWS = 100; // tracks that are added to the list at a time
const NO_GENRE = ""; // the value of "all" in a select
const byId = (id) => document.getElementById(id);
const percent = (share, digits = 0) => (100 * share).toFixed(digits) + "%";
const labelled = content.tracks.some((track) => track.actual !== null);
const audio = byId("audio");
let shown = []; // the tracks that the filters let through, in order
let drawn = 0; // how many of them are in the list
let current = null; // the track that the keys act on
let loaded = null; // the track in the player

/** Makes an element with attributes and children; a child that is a text stays text. */
function make(name, attributes = {}, ...children) {
  const drawing = ["svg", "path", "line", "title"].includes(name);
  const element = drawing ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// ---------------------------------------------------------------------------------------------- light and dark

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = theme === "dark" ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", theme === "dark" ? "Change to light colours" : "Change to dark colours");
}

const preference = matchMedia("(prefers-color-scheme: dark)");
setTheme(preference.matches ? "dark" : "light");
preference.addEventListener("change", () => setTheme(preference.matches ? "dark" : "light"));
byId("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

// ---------------------------------------------------------------------------------------------- numbers

function drawHeadline() {
  document.title = content.title;
  byId("title").textContent = content.title;
  byId("lead").textContent = content.lead;
  for (const { value, label, detail } of content.headline) {
    byId("headline").append(make("div", {}, make("b", {}, value), label, make("small", {}, detail)));
  }
}

function drawSystems() {
  const { columns, rows } = content.systems;
  byId("systems").hidden = rows.length === 0;
  const head = ["system", ...columns].map((column) => make("th", { scope: "col" }, column));
  byId("systems").querySelector("thead").append(make("tr", {}, ...head));
  for (const { system, scores } of rows) {
    const row = make("tr", {}, make("th", { scope: "row" }, system));
    for (const score of scores) row.append(make("td", {}, score.text, ...(score.bar ? [bar(score.bar)] : [])));
    byId("systems").querySelector("tbody").append(row);
  }
}

function bar({ share, low, high }) {
  const [fill, interval] = [make("i"), make("u")];
  fill.style.width = percent(share, 1);
  interval.style.left = percent(low, 1);
  interval.style.width = percent(high - low, 1);
  return make("span", { class: "bar", "aria-hidden": "true" }, fill, interval);
}

// ---------------------------------------------------------------------------------------------- confusion matrix

function drawConfusion() {
  byId("confusion").hidden = !labelled;
  if (!labelled) return;
  const subset = byId("subset").value;
  const tracks = content.tracks.filter((track) => subset === NO_GENRE || track.subset === subset);
  const correct = tracks.filter((track) => track.actual === track.predicted).length;
  byId("confusion-title").textContent =
    `Confusion matrix: ${tracks.length} ${subset || "held-out"} tracks, ${percent(correct / tracks.length, 1)} correct`;
  const corner = make("td", {});
  const head = make("tr", {}, corner, ...content.genres.map((genre) => make("th", { scope: "col", title: genre }, make("span", {}, genre))));
  const body = content.genres.map((actual) => confusionRow(actual, tracks.filter((track) => track.actual === actual)));
  byId("confusion").querySelector("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

function confusionRow(actual, tracks) {
  const row = make("tr", {}, make("th", { scope: "row", title: actual }, actual));
  for (const predicted of content.genres) {
    const count = tracks.filter((track) => track.predicted === predicted).length;
    const cell = make("td", { class: actual === predicted ? "diagonal" : null });
    cell.append(count ? confusionCell(actual, predicted, count, count / tracks.length) : make("span"));
    row.append(cell);
  }
  return row;
}

function confusionCell(actual, predicted, count, share) {
  const pressed = byId("actual").value === actual && byId("predicted").value === predicted;
  const noun = count === 1 ? "track" : "tracks";
  const label = `${count} ${noun}, ${percent(share)} of ${actual}, predicted as ${predicted}`;
  const button = make("button", { type: "button", "aria-label": label, title: label, "aria-pressed": String(pressed), class: share > 0.75 ? "half deep" : share > 0.5 ? "half" : null }, String(count));
  button.style.setProperty("--share", (0.15 + 0.85 * share).toFixed(2));
  button.dataset.cell = JSON.stringify([actual, predicted]);
  button.addEventListener("click", () => {
    byId("actual").value = pressed ? NO_GENRE : actual;
    byId("predicted").value = pressed ? NO_GENRE : predicted;
    byId("outcome").value = "all";
    byId("search").value = "";
    update();
    document.querySelector(`#confusion [data-cell=${CSS.escape(button.dataset.cell)}]`)?.focus({ preventScroll: true });
    if (!pressed) byId("tracks").scrollIntoView();
  });
  return button;
}

// ---------------------------------------------------------------------------------------------- filters

const OUTCOMES = {
  all: ["all tracks", () => true],
  wrong: ["wrong", (track) => isWrong(track)],
  unsure: ["unsure", (track) => track.unsure],
  either: ["wrong or unsure", (track) => isWrong(track) || track.unsure],
  correct: ["correct", (track) => track.actual === track.predicted],
};
const confidence = (track) => Math.max(...track.probabilities);
const mistake = (track) => (isWrong(track) ? 2 + confidence(track) : track.unsure ? 1 - confidence(track) : -confidence(track));
const ORDERS = {
  mistakes: ["surest mistakes first", (one, other) => mistake(other) - mistake(one)],
  lowest: ["confidence, lowest first", (one, other) => confidence(one) - confidence(other)],
  highest: ["confidence, highest first", (one, other) => confidence(other) - confidence(one)],
  name: ["name", () => 0],
};

function isWrong(track) {
  return track.actual !== null && track.actual !== track.predicted;
}

function fillSelects() {
  const options = (id, pairs, value) => {
    byId(id).append(...pairs.map(([key, text]) => make("option", { value: key }, text)));
    byId(id).value = value;
    // What `Clear filters` goes back to.
    for (const option of byId(id).options) option.defaultSelected = option.value === value;
  };
  const genres = [[NO_GENRE, "all genres"], ...content.genres.map((genre) => [genre, genre])];
  options("subset", [[NO_GENRE, "all"], ...content.subsets.map((subset) => [subset, subset])], content.subsets[0] ?? NO_GENRE);
  options("actual", genres, NO_GENRE);
  options("predicted", genres, NO_GENRE);
  const outcomes = labelled ? Object.keys(OUTCOMES) : ["all", "unsure"];
  options("outcome", outcomes.map((key) => [key, OUTCOMES[key][0]]), "all");
  const orders = labelled ? Object.keys(ORDERS) : ["lowest", "highest", "name"];
  options("order", orders.map((key) => [key, ORDERS[key][0]]), labelled ? "mistakes" : "name");
  byId("subset").parentElement.hidden = content.subsets.length < 2;
  byId("actual").parentElement.hidden = !labelled;
  byId("filters").addEventListener("input", update);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("reset", () => setTimeout(update));
}

function update() {
  const [subset, actual, predicted] = ["subset", "actual", "predicted"].map((id) => byId(id).value);
  const [searched, outcome] = [byId("search").value.toLocaleLowerCase(), OUTCOMES[byId("outcome").value][1]];
  shown = content.tracks.filter((track) =>
    (subset === NO_GENRE || track.subset === subset) &&
    (actual === NO_GENRE || track.actual === actual) &&
    (predicted === NO_GENRE || track.predicted === predicted) &&
    track.name.toLocaleLowerCase().includes(searched) && outcome(track));
  shown.sort(ORDERS[byId("order").value][1]); // stable: equal ones stay in the order of their names
  const wrong = shown.filter(isWrong).length;
  const unsure = shown.filter((track) => track.unsure).length;
  byId("count").textContent =
    `${shown.length} of ${content.tracks.length} ${content.tracks.length === 1 ? "track" : "tracks"}` +
    (labelled ? `, ${wrong} wrong` : "") + `, ${unsure} unsure`;
  drawn = 0;
  byId("list").replaceChildren();
  addRows();
  if (!shown.includes(current)) setCurrent(shown[0] ?? null);
  else setCurrent(current);
  drawConfusion();
}

// ---------------------------------------------------------------------------------------------- the list of tracks

const PLAY = "M3 1 L15 8 L3 15 Z";
const PAUSE = "M3 1 H7 V15 H3 Z M9 1 H13 V15 H9 Z";

function addRows() {
  byId("list").append(...shown.slice(drawn, drawn + ROWS).map(row));
  drawn = Math.min(drawn + ROWS, shown.length);
  byId("more").hidden = drawn === shown.length;
  byId("more").textContent = `Show more tracks (${shown.length - drawn} left)`;
}

function row(track) {
  const play = make("button", { type: "button", class: "play" });
  play.addEventListener("click", () => { setCurrent(track); toggle(track); });
  const item = make("li", { tabindex: "-1" }, play, description(track), overTime(track));
  item.addEventListener("click", () => setCurrent(track));
  track.row = item;
  markPlay(track);
  return item;
}

function description(track) {
  const verdict = make("span", { class: "verdict" });
  if (track.actual === null) verdict.append(track.predicted, " ");
  else if (isWrong(track)) verdict.append(`${track.actual}, predicted ${track.predicted} `, make("span", { class: "wrong" }, "wrong"), " ");
  else verdict.append(`${track.actual}, correct `);
  if (track.unsure) verdict.append(make("span", { class: "unsure" }, "unsure"));
  const ranked = content.genres.map((genre, place) => [genre, track.probabilities[place]]).sort((one, other) => other[1] - one[1]).slice(0, 3);
  const text = ranked.map(([genre, probability]) => `${genre} ${percent(probability)}`).join(", ");
  const subset = track.subset && content.subsets.length > 1 ? `${track.subset}; ` : "";
  const folders = track.name.split(/(?<=\/)/).flatMap((part) => [part, make("wbr")]); // a long path breaks at a slash
  return make("div", {}, make("span", { class: "name" }, ...folders), verdict, make("span", { class: "ranked" }, subset + text));
}

/** Draws the spectrogram and, below it on the same axis of time, the probabilities of the windows. */
function overTime(track) {
  const box = make("div", { class: "time" });
  if (track.picture) {
    const picture = make("img", { src: `data:image/png;base64,${track.picture}`, alt: `Spectrogram of ${track.name}`, loading: "lazy", decoding: "async" });
    picture.addEventListener("click", (event) => {
      const place = picture.getBoundingClientRect();
      play(track, (track.seconds * (event.clientX - place.left)) / place.width);
    });
    box.append(picture);
  }
  const axis = make("small", { "aria-hidden": "true" }, make("span", {}, "0 s"), make("span", {}, `${track.seconds.toFixed(0)} s`));
  box.append(probabilityLines(track), axis);
  return box;
}

function probabilityLines(track) {
  const [width, height] = [600, 60];
  const label = content.genres.map((genre, place) => `${genre} ${percent(track.probabilities[place])}`).join(", ");
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `Probabilities over time of ${track.name}; mean: ${label}` });
  for (const level of [0, 0.5, 1]) svg.append(make("line", { class: "grid", x1: 0, x2: width, y1: y(level), y2: y(level) }));
  const kind = (genre) => (genre === (track.actual ?? track.predicted) ? "actual" : genre === track.predicted ? "predicted" : "other");
  const rank = { other: 0, predicted: 1, actual: 2 };
  const order = content.genres.map((genre, place) => [genre, place]).sort((one, other) => rank[kind(one[0])] - rank[kind(other[0])]);
  for (const [genre, place] of order) {
    const values = track.clips.map((clip) => clip[place] / 100);
    if (kind(genre) === "other" && Math.max(...values) < 0.1) continue;
    const x = (seconds) => (width * seconds / track.seconds).toFixed(1);
    const windows = values.map((value, clip) => `M${x(track.starts[clip])} ${y(value)}H${x(track.starts[clip] + content.clip_seconds)}`);
    const between = values.map((value, clip) => `${clip ? "L" : "M"}${x(track.starts[clip] + content.clip_seconds / 2)} ${y(value)}`);
    const name = make("title", {}, genre);
    svg.append(make("path", { class: `between ${kind(genre)}`, d: between.join("") }), make("path", { class: `windows ${kind(genre)}`, d: windows.join("") }, name));
  }
  return svg;

  function y(probability) {
    return (2 + (height - 4) * (1 - probability)).toFixed(1);
  }
}

function drawLegend() {
  const entries = labelled
    ? [["actual genre", "--accent"], ["genre predicted by mistake", "--wrong"], ["other genres from 10 % on", "--other"]]
    : [["predicted genre", "--accent"], ["other genres from 10 % on", "--other"]];
  byId("legend").append(`Probability (0 to 100 %) of each window of ${content.clip_seconds.toFixed(1)} s: `);
  for (const [text, colour] of entries) {
    const entry = make("span", {}, text);
    entry.style.setProperty("--colour", `var(${colour})`);
    byId("legend").append(entry);
  }
  byId("notes").textContent = content.notes.join(" ");
}

function setCurrent(track, { focus = false } = {}) {
  for (const item of byId("list").querySelectorAll("[aria-current]")) {
    item.removeAttribute("aria-current");
    item.tabIndex = -1;
  }
  current = track;
  if (!track) return;
  while (!track.row?.isConnected && drawn < shown.length) addRows();
  track.row.setAttribute("aria-current", "true");
  track.row.tabIndex = 0;
  if (focus) {
    track.row.focus({ preventScroll: true });
    track.row.scrollIntoView({ block: "nearest" });
  }
}

// ---------------------------------------------------------------------------------------------- the player

function markPlay(track) {
  const button = track.row.querySelector(".play");
  const playing = track === loaded && !audio.paused;
  button.replaceChildren(make("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, make("path", { d: playing ? PAUSE : PLAY })));
  button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${track.name}`);
}

function toggle(track) {
  if (track === loaded && !audio.paused) audio.pause();
  else play(track);
}

function play(track, seconds = null) {
  if (track !== loaded) {
    const before = loaded;
    loaded = track;
    audio.src = track.audio;
    byId("player").hidden = false;
    before?.row?.querySelector(".head")?.remove();
    if (before?.row) markPlay(before);
    track.row.querySelector(".head")?.remove();
    byId("playing").className = "";
    byId("playing").replaceChildren(make("a", { href: track.audio, target: "_blank", rel: "noopener" }, track.name), ` (${track.actual ?? track.predicted})`);
  }
  if (seconds !== null) audio.currentTime = seconds;
  audio.play().catch(() => {}); // the event `error` says why
}

function moveHead() {
  if (!loaded?.row) return;
  const box = loaded.row.querySelector(".time");
  const head = box.querySelector(".head") ?? box.appendChild(make("div", { class: "head" }));
  head.style.left = percent(Math.min(audio.currentTime / loaded.seconds, 1), 2);
}

audio.addEventListener("timeupdate", moveHead);
for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => loaded?.row && markPlay(loaded));
audio.addEventListener("error", () => {
  if (!loaded) return;
  byId("playing").className = "failed";
  byId("playing").replaceChildren(`${loaded.name} does not play: `, make("a", { href: loaded.audio, target: "_blank", rel: "noopener" }, "the file"),
    " is not there from where this page lies, or this browser does not know its format.");
  markPlay(loaded);
});

// ---------------------------------------------------------------------------------------------- keys

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target.closest("input, select, textarea, audio, button, a");
  if (event.key === "Escape" && target) {
    if (target === byId("search")) {
      target.value = "";
      update();
    }
    return target.blur();
  }
  if (target && !target.matches("button, a")) return;
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  const place = shown.indexOf(current);
  if (event.key === "/") byId("search").focus();
  else if (step && shown.length) setCurrent(shown[Math.min(Math.max(place + step, 0), shown.length - 1)], { focus: true });
  else if (event.key === " " && !target && current) toggle(current);
  else if (event.key === "ArrowRight" && loaded) audio.currentTime += 5;
  else if (event.key === "ArrowLeft" && loaded) audio.currentTime -= 5;
  else return;
  event.preventDefault();
});

byId("more").addEventListener("click", addRows);
drawHeadline();
drawSystems();
byId("seek").hidden = !content.tracks.some((track) => track.picture);
drawLegend();
fillSelects();
update();
