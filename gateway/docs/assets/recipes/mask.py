from pathlib import Path

import requests

with Path("photo.jpg").open("rb") as photo:
    response = requests.post(
        "http://127.0.0.1:8000/api/v1/mask?method=solid",
        headers={"X-API-Key": "xyl_your_api_key_here"},
        files={"image": photo},
        timeout=60,
    )
if not response.ok:
    raise SystemExit(response.json()["detail"])

Path("masked.jpg").write_bytes(response.content)
print(f"Masked {response.headers['X-Face-Count']} face(s) in {response.headers['X-Total-Ms']} ms")
