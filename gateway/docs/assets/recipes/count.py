from pathlib import Path

import requests

response = requests.post(
    "http://127.0.0.1:8000/api/v1/detect",
    headers={"X-API-Key": "xyl_your_api_key_here"},
    files={"image": Path("photo.jpg").read_bytes()},
    timeout=60,
)
print(response.json()["summary"]["face_count"])
