import { openAsBlob } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

async function detect() {
  const form = new FormData();
  form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");
  return fetch("http://127.0.0.1:8000/api/v1/detect", {
    method: "POST",
    headers: { "X-API-Key": "xyl_your_api_key_here" },
    body: form,
  });
}

let response;
for (let tries = 0; tries < 5; tries++) {
  response = await detect();
  if (response.status !== 429 && response.status !== 503) break;
  await sleep(1000 * Number(response.headers.get("Retry-After"))); // too often, or busy: it says how long
}

const data = await response.json();
if (response.ok) console.log(`${data.summary.face_count} faces`);
else if (response.status === 401 || response.status === 403) console.log(`The key: ${data.detail}`);
else console.log(`Error ${response.status}: ${data.detail}`);
