import { openAsBlob } from "node:fs";
import { writeFile } from "node:fs/promises";

const form = new FormData();
form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");

const response = await fetch("http://127.0.0.1:8000/api/v1/mask?method=solid", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: form,
});
if (!response.ok) throw new Error((await response.json()).detail);

await writeFile("masked.jpg", Buffer.from(await response.arrayBuffer()));
console.log(`Masked ${response.headers.get("X-Face-Count")} face(s)`);
