// Swagger UI on this service's own document. Nothing is fetched from elsewhere, no key is kept.
import { samples } from "./docs-samples.js";

const base = new URL("./", location.href).href.replace(/\/$/, "");
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);

const api = await (await fetch("openapi.json")).json();
api.servers = [{ url: base }];
// The recipes are a chapter of the reference; here each endpoint has its own.
api.tags = api.tags.filter((tag) => !tag["x-traitTag"]);
// Lists of boxes are typed: with a media type Swagger UI would ask for a file.
for (const path of Object.values(api.paths)) for (const { parameters } of Object.values(path)) for (const { schema } of parameters ?? []) delete schema?.contentMediaType;

SwaggerUIBundle({
  spec: api,
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [samples(base)],
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
});
