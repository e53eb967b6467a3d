import requests

response = requests.get("http://127.0.0.1:8000/health", timeout=10)
print(response.status_code, response.json()["status"], response.json()["model"])
