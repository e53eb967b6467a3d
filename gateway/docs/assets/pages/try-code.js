// The request as code: the recipes of the documentation, with this address, these parameters and, once copied, this key.
import { element } from "./try-controls.js";

const LANGUAGES = [["curl", "curl", "sh"], ["python", "Python", "py"], ["javascript", "JavaScript", "mjs"], ["csharp", "C#", "cs"]];
const PLACE = "http://127.0.0.1:8000";
const KEY = "xyl_your_api_key_here";
const PATH = /(\/api\/v1\/(detect|mask))(\?[^"'`\s]*)?/g;

export function recipes(base, request) {
  const code = document.querySelector("#code code");
  const tabs = LANGUAGES.map(([name, words], index) => element("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "code", "aria-selected": String(index === 0), tabindex: index ? "-1" : "0" }, words));
  let chosen = 0;
  const texts = new Map();

  async function text() {
    const name = `${document.getElementById("endpoint").value}.${LANGUAGES[chosen][2]}`;
    if (!texts.has(name)) texts.set(name, await (await fetch(`${base}docs-assets/recipes/${name}`)).text());
    const { queries } = request();
    return texts.get(name).replaceAll(PLACE, base.replace(/\/$/, "")).replace(PATH, (_, path, endpoint) => (String(queries[endpoint]) ? `${path}?${queries[endpoint]}` : path));
  }

  async function show() {
    code.textContent = await text();
  }

  function choose(index) {
    chosen = index;
    tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", String(place === index));
      tab.tabIndex = place === index ? 0 : -1;
    });
    document.getElementById("code").setAttribute("aria-labelledby", tabs[index].id);
    show();
  }

  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => choose(index));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      choose((index + step + tabs.length) % tabs.length);
      tabs[chosen].focus();
    });
  });
  document.getElementById("languages").append(...tabs);
  document.getElementById("endpoint").addEventListener("change", show);
  document.getElementById("copy").addEventListener("click", async () => {
    const { key } = request();
    const words = key ? (await text()).replaceAll(KEY, key) : await text();
    const said = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(words);
      said.textContent = key ? "Copied, with your key." : "Copied. Put your key in.";
    } catch {
      getSelection().selectAllChildren(code);
      said.textContent = "Selected: copy it with Ctrl+C.";
    }
  });
  show();
  return { show };
}
