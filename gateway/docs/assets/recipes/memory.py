from io import BytesIO
from pathlib import Path

import requests
from PIL import Image

picture = Path("photo.jpg").read_bytes()  # from wherever you have it

response = requests.post(
    "http://127.0.0.1:8000/api/v1/mask?method=elliptical&padding=0.3",
    headers={"X-API-Key": "xyl_your_api_key_here"},
    files={"image": ("image.jpg", picture, "image/jpeg")},
    timeout=60,
)
if not response.ok:
    raise SystemExit(response.json()["detail"])

masked = Image.open(BytesIO(response.content))
print(f"{masked.format}, {masked.width}×{masked.height}")
