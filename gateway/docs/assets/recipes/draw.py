from pathlib import Path

import requests
from PIL import Image, ImageDraw, ImageOps

response = requests.post(
    "http://127.0.0.1:8000/api/v1/detect",
    headers={"X-API-Key": "xyl_your_api_key_here"},
    files={"image": Path("photo.jpg").read_bytes()},
    timeout=60,
)

# Boxes are of the upright picture: turn it as its orientation says.
picture = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
draw = ImageDraw.Draw(picture)
for face in response.json()["detections"]:
    box = face["bbox"]
    draw.rectangle([box["x1"], box["y1"], box["x2"], box["y2"]], outline="red", width=3)
    draw.text((box["x1"], box["y1"] - 15), f"{face['confidence']:.0%}", fill="red")
picture.save("annotated.jpg")
