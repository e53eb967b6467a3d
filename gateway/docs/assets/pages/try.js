// One picture, asked and shown. The parameters are read from openapi.json, the code from the recipes: neither is written here.
import { controls } from "./try-controls.js";
import { draw, list, times, tell } from "./try-shown.js";
import { recipes } from "./try-code.js";

const at = (id) => document.getElementById(id);
const base = new URL("./", location.href).href;
const state = { picture: null, faces: [], kept: new Set(), asked: null, urls: [] };

// The link of a first start carries the key behind #, which is never sent; it leaves the address at once.
const given = new URLSearchParams(location.hash.slice(1)).get("key");
if (given) {
  at("key").value = given;
  history.replaceState(null, "", location.pathname);
}

const parameters = await controls(at("parameters"), base, () => soon());
const code = recipes(base, () => ({ key: at("key").value.trim(), queries: { detect: query("detect"), mask: query("mask") } }));
at("key").addEventListener("input", () => code.show());
at("keep-head").hidden = !parameters.has("mask", "keep");

function query(endpoint) {
  const wanted = parameters.query(endpoint);
  if (endpoint === "mask" && state.kept.size) {
    wanted.set("keep", JSON.stringify([...state.kept].sort((a, b) => a - b)));
    return looking(wanted);
  }
  return wanted;
}

// What mask looks at by itself and detect does not. Said to both, so that both number the same faces.
function looking(wanted) {
  for (const [name, value] of [["turns", "unsure"], ["second_side", "160"]]) if (!wanted.has(name)) wanted.set(name, value);
  return wanted;
}

let timer;
function soon() {
  code.show();
  clearTimeout(timer);
  if (state.picture) timer = setTimeout(() => ask(), 350);
}

async function ask() {
  state.asked?.abort();
  const asked = (state.asked = new AbortController());
  at("error").hidden = true;
  at("status").textContent = "Looking for faces…";
  try {
    const found = await send("detect", asked.signal);
    const answer = await found.json();
    state.faces = answer.detections;
    showFaces();
    const masked = await send("mask", asked.signal);
    showMasked(await masked.blob());
    at("status").textContent = tell(state.faces, masked.headers, state.kept.size);
    times(at("times"), [["detect", found.headers.get("Server-Timing")], ["mask", masked.headers.get("Server-Timing")]]);
  } catch (error) {
    if (error.name === "AbortError") return;
    at("status").textContent = "";
    at("error").textContent = error.message;
    at("error").hidden = false;
    if (error.status === 401 || error.status === 403) at("key").focus();
  }
}

async function send(endpoint, signal) {
  const form = new FormData();
  form.append("image", state.picture, "picture");
  const key = at("key").value.trim();
  const wanted = looking(query(endpoint));
  let response;
  try {
    response = await fetch(`${base}api/v1/${endpoint}?${wanted}`, { method: "POST", body: form, signal, headers: key ? { "X-API-Key": key } : {} });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The service does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const words = await response.json().then((body) => body.detail, () => `The service answered ${response.status}.`);
  const wait = response.headers.get("Retry-After");
  throw Object.assign(new Error(wait ? `${words} (in ${wait} s)` : words), { status: response.status });
}

function showFaces() {
  const toggle = parameters.has("mask", "keep") ? (index) => {
    state.kept.has(index) ? state.kept.delete(index) : state.kept.add(index);
    showFaces();
    soon();
  } : null;
  draw(at("boxes"), at("before"), state.faces, state.kept, toggle);
  list(at("found").querySelector("tbody"), state.faces, state.kept, toggle);
  at("found").querySelector("summary").textContent = `Faces (${state.faces.length})`;
}

function showMasked(blob) {
  const url = kept(URL.createObjectURL(blob));
  at("after").src = url;
  at("after").alt = "The picture with its faces masked";
  at("after").hidden = false;
  at("save").href = url;
  at("save").download = `masked.${blob.type.split("/")[1].replace("jpeg", "jpg")}`;
  at("save").hidden = false;
  code.show();
}

function kept(url) {
  state.urls.push(url);
  if (state.urls.length > 4) URL.revokeObjectURL(state.urls.splice(1, 1)[0]);
  return url;
}

async function take(blob) {
  if (!blob) return;
  state.urls.splice(0).forEach((url) => URL.revokeObjectURL(url));
  Object.assign(state, { picture: blob, faces: [], kept: new Set() });
  for (const id of ["after", "save", "unseen"]) at(id).hidden = true;
  at("times").replaceChildren();
  at("boxes").replaceChildren();
  const before = at("before");
  before.src = kept(URL.createObjectURL(blob));
  const shown = await before.decode().then(() => true, () => false);
  at("unseen").hidden = shown;
  document.querySelector(".stage").classList.toggle("alone", !shown);
  at("drop").hidden = true;
  at("result").hidden = false;
  at("picture").focus();
  await ask();
}

const sample = async () => take(await (await fetch(`${base}docs-assets/pages/sample.jpg`)).blob());
at("sample").addEventListener("click", sample);
at("file").addEventListener("change", (event) => take(event.target.files[0]));
at("another").addEventListener("click", () => {
  state.asked?.abort();
  state.picture = null;
  at("result").hidden = at("error").hidden = true;
  at("drop").hidden = false;
  at("file").value = "";
  at("file").focus();
});
at("cut").addEventListener("input", (event) => {
  const share = Number(event.target.value);
  document.querySelector(".stage").style.setProperty("--cut", `${share}%`);
  event.target.setAttribute("aria-valuetext", share === 0 ? "as it was" : share === 100 ? "masked" : `${share} percent masked`);
});
addEventListener("paste", (event) => take([...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"))));
for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => { event.preventDefault(); at("drop").classList.add("over"); });
for (const kind of ["dragleave", "drop"]) addEventListener(kind, (event) => { event.preventDefault(); at("drop").classList.remove("over"); });
addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
for (const id of ["parameters", "key-form"]) at(id).addEventListener("submit", (event) => event.preventDefault());
document.body.dataset.ready = "true";
