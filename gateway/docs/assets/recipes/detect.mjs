import { openAsBlob } from "node:fs";

const form = new FormData();
form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");

const response = await fetch("http://127.0.0.1:8000/api/v1/detect?confidence=0.6", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: form,
});
const data = await response.json();
if (!response.ok) throw new Error(data.detail);

console.log(`Found ${data.summary.face_count} face(s)`);
for (const { confidence, bbox } of data.detections) console.log(confidence, bbox);
