import time
from pathlib import Path

import requests

masked = Path("masked")
masked.mkdir(exist_ok=True)
session = requests.Session()
session.headers["X-API-Key"] = "xyl_your_api_key_here"

for path in sorted(Path("photos").glob("*.jpg")):
    while True:
        response = session.post(
            "http://127.0.0.1:8000/api/v1/mask?method=pixelate&strength=60",
            files={"image": path.read_bytes()},
            timeout=60,
        )
        if response.status_code not in {429, 503}:
            break
        time.sleep(float(response.headers["Retry-After"]))
    if response.ok:
        (masked / path.name).write_bytes(response.content)
        print(f"{path.name}: {response.headers['X-Face-Count']} faces")
    else:
        print(f"{path.name}: {response.json()['detail']}")
