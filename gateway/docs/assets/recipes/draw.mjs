import { openAsBlob } from "node:fs";
import sharp from "sharp";

const form = new FormData();
form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");

const response = await fetch("http://127.0.0.1:8000/api/v1/detect", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: form,
});
const { image, detections } = await response.json();

const boxes = detections.map(({ bbox: { x1, y1, x2, y2 } }) =>
  `<rect x="${x1}" y="${y1}" width="${x2 - x1}" height="${y2 - y1}" fill="none" stroke="red" stroke-width="3"/>`);
const svg = `<svg width="${image.width}" height="${image.height}" xmlns="http://www.w3.org/2000/svg">${boxes.join("")}</svg>`;

// Boxes are of the upright picture: rotate() turns it as its orientation says.
await sharp("photo.jpg").rotate().composite([{ input: Buffer.from(svg) }]).toFile("annotated.jpg");
