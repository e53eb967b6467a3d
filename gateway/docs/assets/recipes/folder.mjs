import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

async function mask(path) {
  for (;;) {
    const form = new FormData();
    form.append("image", new Blob([await readFile(path)]), "image.jpg");
    const response = await fetch("http://127.0.0.1:8000/api/v1/mask?method=pixelate&strength=60", {
      method: "POST",
      headers: { "X-API-Key": "xyl_your_api_key_here" },
      body: form,
    });
    if (response.status !== 429 && response.status !== 503) return response;
    await sleep(1000 * Number(response.headers.get("Retry-After")));
  }
}

await mkdir("masked", { recursive: true });
for (const name of await readdir("photos")) {
  if (!name.endsWith(".jpg")) continue;
  const response = await mask(`photos/${name}`);
  if (response.ok) {
    await writeFile(`masked/${name}`, Buffer.from(await response.arrayBuffer()));
    console.log(`${name}: ${response.headers.get("X-Face-Count")} faces`);
  } else {
    console.log(`${name}: ${(await response.json()).detail}`);
  }
}
