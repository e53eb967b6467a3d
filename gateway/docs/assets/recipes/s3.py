from io import BytesIO
from pathlib import Path

import boto3
import requests

response = requests.post(
    "http://127.0.0.1:8000/api/v1/mask?format=png",
    headers={"X-API-Key": "xyl_your_api_key_here"},
    files={"image": Path("photo.jpg").read_bytes()},
    timeout=60,
)
if not response.ok:
    raise SystemExit(response.json()["detail"])

s3 = boto3.client("s3")
s3.upload_fileobj(BytesIO(response.content), "my-bucket", "masked/photo.png")
