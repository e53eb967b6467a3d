import requests

with open("photo.jpg", "rb") as photo:
    response = requests.post(
        "http://127.0.0.1:8000/api/v1/mask?method=solid",
        headers={"X-API-Key": "xyl_your_api_key_here"},
        files={"image": photo},
    )
response.raise_for_status()
with open("masked.jpg", "wb") as masked:
    masked.write(response.content)
print(f"Masked {response.headers['X-Face-Count']} face(s) in {response.headers['X-Total-Ms']} ms")
