import { openAsBlob } from "node:fs";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

const form = new FormData();
form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");

const response = await fetch("http://127.0.0.1:8000/api/v1/mask?format=png", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: form,
});
if (!response.ok) throw new Error((await response.json()).detail);

const s3 = new S3Client({});
await s3.send(new PutObjectCommand({
  Bucket: "my-bucket",
  Key: "masked/photo.png",
  Body: Buffer.from(await response.arrayBuffer()),
}));
