// A caller with a generated client: node built/detect.js URL PICTURE. `openapi.d.ts` beside it is openapi-typescript's.
import { openAsBlob } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./openapi.js";

const [, , url = "", picture = ""] = process.argv;
const client = createClient<paths>({ baseUrl: url });

// A file is a string to the generator, so the form is made by hand; everything else is checked against the document.
const form = new FormData();
form.append("image", await openAsBlob(picture), "photo.jpg");
const body = { image: "" };
const bodySerializer = () => form;

const found = await client.POST("/api/v1/detect", { params: { query: { confidence: 0.3 } }, body, bodySerializer });
if (found.error) throw new Error(found.error.detail);
const faces: components["schemas"]["DetectedFace"][] = found.data.detections;

const query = { method: "solid", format: "png" } as const;
const masked = await client.POST("/api/v1/mask", { params: { query }, body, bodySerializer, parseAs: "arrayBuffer" });
if (masked.error) throw new Error(masked.error.detail);

// @ts-expect-error: the document allows no such method, and the compiler knows
const wrong = await client.POST("/api/v1/mask", { params: { query: { method: "smear" } }, body, bodySerializer });

console.log(JSON.stringify({
  faces: faces.length,
  masked: Number(masked.response.headers.get("X-Face-Count")),
  bytes: masked.data.byteLength,
  refused: wrong.error?.detail,
}));
