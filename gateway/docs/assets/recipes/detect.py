from pathlib import Path

import requests

with Path("photo.jpg").open("rb") as photo:
    response = requests.post(
        "http://127.0.0.1:8000/api/v1/detect?confidence=0.6",
        headers={"X-API-Key": "xyl_your_api_key_here"},
        files={"image": photo},
        timeout=60,
    )
data = response.json()
if not response.ok:
    raise SystemExit(data["detail"])

print(f"Found {data['summary']['face_count']} face(s)")
for face in data["detections"]:
    box = face["bbox"]
    print(f"  {face['confidence']:.1%} at ({box['x1']:.0f}, {box['y1']:.0f}) to ({box['x2']:.0f}, {box['y2']:.0f})")
