curl -H "X-API-Key: xyl_your_api_key_here" -F image=@photo.jpg --fail-with-body \
  "http://127.0.0.1:8000/api/v1/mask?annotate=true" -o annotated.jpg
