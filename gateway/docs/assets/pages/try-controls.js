// A control for each parameter that openapi.json names, with its range; alone knows how a schema becomes one.
const FIRST = ["method", "strength", "padding", "confidence"];
// They are chosen in the picture, or need a file of their own.
const ELSEWHERE = new Set(["keep", "only", "ignore", "regions", "detect", "annotate"]);

export async function controls(form, base, changed) {
  const document_ = await (await fetch(`${base}openapi.json`)).json();
  const known = Object.fromEntries(["detect", "mask"].map((name) => [name, query(document_, name)]));
  const all = [...known.mask, ...known.detect.filter((one) => !known.mask.some((other) => other.name === one.name))];
  const rows = new Map(all.filter((one) => !ELSEWHERE.has(one.name) && simple(one.schema)).map((one) => [one.name, row(one, changed)]));
  const more = element("details", {}, element("summary", {}, "More"));
  form.replaceChildren(element("h2", {}, "Parameters"));
  for (const name of FIRST) if (rows.has(name)) form.append(rows.get(name).node);
  for (const [name, each] of rows) if (!FIRST.includes(name)) more.append(each.node);
  form.append(more);
  const has = (endpoint, name) => known[endpoint].some((one) => one.name === name);
  return {
    has,
    // Only what differs from its default: the request says what was chosen.
    query: (endpoint) => new URLSearchParams([...rows].filter(([name, each]) => has(endpoint, name) && each.value() !== each.start).map(([name, each]) => [name, each.value()])),
  };
}

const query = (document_, name) => document_.paths[`/api/v1/${name}`].post.parameters.filter((one) => one.in === "query").map(plain);
// A number that a word may stand for (quality) is shown as a number.
const plain = (one) => ({ ...one, schema: { ...one.schema, ...one.schema.anyOf?.find(({ type }) => type === "integer") } });
const simple = (schema) => schema.enum || ["number", "integer", "boolean"].includes(schema.type) || schema.pattern?.startsWith("^#");

function row({ name, schema, description }, changed) {
  const start = schema.default === undefined ? "" : String(schema.default);
  const { inputs, value } = control(name, schema, start, changed);
  const words = element("p", { class: "soft small", id: `${name}-words` }, description);
  inputs[0].id = `p-${name}`;
  for (const input of inputs) input.setAttribute("aria-describedby", words.id);
  const label = element("label", { for: inputs[0].id }, name);
  return { node: element("div", { class: "row" }, label, element("div", { class: "both" }, ...inputs), words), value, start };
}

function control(name, schema, start, changed) {
  if (schema.enum || schema.type === "boolean") {
    const choices = (schema.enum ?? [true, false]).map(String);
    if (schema.default === undefined) choices.unshift("");
    const select = element("select", {}, ...choices.map((choice) => element("option", { value: choice }, choice || "as the service is set")));
    select.value = start;
    select.addEventListener("change", changed);
    return { inputs: [select], value: () => select.value };
  }
  if (schema.pattern) {
    const color = element("input", { type: "color", value: start });
    color.addEventListener("change", changed);
    return { inputs: [color], value: () => color.value };
  }
  return numbers(name, schema, start, changed);
}

// A number, and a slider beside it where its range has an end.
function numbers(name, schema, start, changed) {
  const step = schema.type === "integer" ? "1" : "0.01";
  const limits = { min: String(schema.minimum ?? 0), ...(schema.maximum === undefined ? {} : { max: String(schema.maximum) }) };
  const number = element("input", { type: "number", step, ...limits, value: start, placeholder: "as set" });
  number.addEventListener("input", () => number.validity.valid && changed());
  const inputs = [number];
  if (schema.maximum <= 1000) {
    const slider = element("input", { type: "range", step, ...limits, value: start || limits.min, "aria-label": name });
    slider.addEventListener("input", () => { number.value = slider.value; changed(); });
    number.addEventListener("input", () => { slider.value = number.value; });
    inputs.push(slider);
  }
  return { inputs, value: () => (number.value && number.validity.valid ? String(Number(number.value)) : start) };
}

export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
