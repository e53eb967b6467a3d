import { readFile } from "node:fs/promises";

const picture = await readFile("photo.jpg"); // from wherever you have it

const form = new FormData();
form.append("image", new Blob([picture], { type: "image/jpeg" }), "image.jpg");

const response = await fetch("http://127.0.0.1:8000/api/v1/mask?method=elliptical&padding=0.3", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: form,
});
if (!response.ok) throw new Error((await response.json()).detail);

const masked = Buffer.from(await response.arrayBuffer());
console.log(`${response.headers.get("Content-Type")}, ${masked.length} bytes`);
