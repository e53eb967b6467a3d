import time
from pathlib import Path

import requests

picture = Path("photo.jpg").read_bytes()
for _ in range(5):
    response = requests.post(
        "http://127.0.0.1:8000/api/v1/detect",
        headers={"X-API-Key": "xyl_your_api_key_here"},
        files={"image": picture},
        timeout=60,
    )
    if response.status_code not in {429, 503}:
        break
    time.sleep(float(response.headers["Retry-After"]))  # too often, or busy: it says how long

if response.ok:
    print(f"{response.json()['summary']['face_count']} faces")
elif response.status_code in {401, 403}:
    print(f"The key: {response.json()['detail']}")
else:
    print(f"Error {response.status_code}: {response.json()['detail']}")
