# --retry waits as long as Retry-After says; --fail-with-body ends with an error and still shows the words.
curl -sS -H "X-API-Key: xyl_your_api_key_here" -F image=@photo.jpg --retry 5 --fail-with-body \
  http://127.0.0.1:8000/api/v1/detect
