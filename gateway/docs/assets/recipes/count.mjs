import { openAsBlob } from "node:fs";

const form = new FormData();
form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");

const response = await fetch("http://127.0.0.1:8000/api/v1/detect", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: form,
});
console.log((await response.json()).summary.face_count);
