// What is seen of an answer: boxes over the picture, the list of faces, where the time went, and a sentence.
import { element } from "./try-controls.js";

const SVG = "http://www.w3.org/2000/svg";
const STAGES_APART = 6;

export function draw(svg, picture, faces, kept, toggle) {
  if (picture.naturalWidth) svg.setAttribute("viewBox", `0 0 ${picture.naturalWidth} ${picture.naturalHeight}`);
  const focused = svg.contains(document.activeElement) ? document.activeElement.dataset.face : undefined;
  svg.replaceChildren(...faces.map((face) => one(face, kept.has(face.index), toggle)));
  svg.querySelector(`[data-face="${focused}"]`)?.focus();
}

function one({ index, bbox, landmarks, confidence }, isKept, toggle) {
  const box = { x: bbox.x1, y: bbox.y1, width: bbox.x2 - bbox.x1, height: bbox.y2 - bbox.y1, rx: (bbox.x2 - bbox.x1) / 16 };
  const group = drawn("g", { class: "face" }, drawn("rect", { class: "edge", ...box }), drawn("rect", { class: "line", ...box }));
  const size = Math.max(1, box.width / 28);
  for (const point of Object.values(landmarks ?? {})) group.append(drawn("circle", { class: "point", cx: point.x, cy: point.y, r: size }));
  const sure = `Face ${index + 1}, ${Math.round(confidence * 100)} % sure`;
  group.setAttribute("aria-label", toggle ? `${sure}, ${isKept ? "left visible" : "masked"}` : sure);
  if (!toggle) {
    group.setAttribute("role", "img");
    return group;
  }
  const attributes = { role: "button", tabindex: "0", "aria-pressed": String(isKept), "data-face": index };
  for (const [name, value] of Object.entries(attributes)) group.setAttribute(name, value);
  const pressed = () => {
    group.focus();
    toggle(index);
  };
  group.addEventListener("click", pressed);
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pressed();
  });
  return group;
}

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function list(body, faces, kept, toggle) {
  body.replaceChildren(...faces.map((face) => {
    const { x1, y1 } = face.bbox;
    const place = `${Math.round(x1)}, ${Math.round(y1)}; ${Math.round(face.size.width)} × ${Math.round(face.size.height)}`;
    const cells = [String(face.index + 1), `${(face.confidence * 100).toFixed(1)} %`, place].map((words) => element("td", {}, words));
    if (toggle) {
      const check = element("input", { type: "checkbox", "aria-label": `Leave face ${face.index + 1} visible` });
      check.checked = kept.has(face.index);
      check.addEventListener("change", () => toggle(face.index));
      cells.push(element("td", {}, check));
    }
    return element("tr", {}, ...cells);
  }));
}

export function times(place, answers) {
  place.replaceChildren(...answers.filter(([, header]) => header).map(([name, header]) => {
    const all = header.split(",").map((part) => part.trim().match(/^([^;]+);dur=([\d.]+)$/)).filter(Boolean).map(([, stage, spent]) => [stage, Number(spent)]);
    const total = all.find(([stage]) => stage === "total")?.[1] ?? 0;
    const stages = all.filter(([stage, spent]) => stage !== "total" && spent > 0);
    const words = stages.map(([stage, spent], index) => element("li", { class: `tone-${tone(stage, index)}` }, `${stage} ${spent.toFixed(1)} ms`));
    let left = 0;
    const bar = drawn("svg", { viewBox: `0 0 ${total} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
    stages.forEach(([stage, spent], index) => {
      bar.append(drawn("rect", { class: `tone-${tone(stage, index)}`, x: left, y: 0, width: spent, height: 1 }));
      left += spent;
    });
    return element("div", { class: "times" }, element("p", { class: "small" }, `${name}: ${total.toFixed(1)} ms in the service`), element("ul", { class: "words" }, ...words), bar);
  }));
}

const tone = (stage, index) => (stage === "other" ? STAGES_APART : index % STAGES_APART);

export function tell(faces, headers, kept) {
  const masked = Number(headers.get("X-Face-Count"));
  const words = [masked === 0 ? "No face is masked." : masked === 1 ? "One face is masked." : `${masked} faces are masked.`];
  if (kept) words.push(kept === 1 ? "One is left visible." : `${kept} are left visible.`);
  if (headers.get("X-Mask-Weak") === "true") words.push("This mask hides too little: take more strength, or method solid.");
  if (!faces.length && !masked) words.push("Look at the picture: a face that was not found stays visible. thorough finds more.");
  return words.join(" ");
}
